// All is there without this: it folds long tables, sorts and filters them.
(() => {
  const FOLDED = 10;
  const value = cell => cell.dataset.v === undefined ? cell.textContent.trim() : Number(cell.dataset.v);
  const compare = (a, b) => typeof a === "number" ? a - b : a.localeCompare(b);
  const make = (name, set) => Object.assign(document.createElement(name), set);
  for (const table of document.querySelectorAll("table.sort")) {
    const body = table.tBodies[0], card = table.closest("section");
    let folded = body.rows.length > FOLDED + 5, query = "";
    const all = make("button", { className: "all", type: "button", textContent: `Show all ${body.rows.length} rows` });
    const show = () => [...body.rows].forEach((row, n) => {
      row.hidden = query ? !row.textContent.toLowerCase().includes(query) : folded && n >= FOLDED;
    });
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const button = make("button", { type: "button", textContent: head.textContent });
      head.replaceChildren(button);
      button.onclick = () => {
        const was = head.getAttribute("aria-sort"), up = was ? was === "descending" : !head.classList.contains("num");
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        body.append(...[...body.rows].sort((a, b) => compare(value(a.cells[column]), value(b.cells[column])) * (up ? 1 : -1)));
        show();
      };
    });
    if (folded) {
      table.parentElement.after(all);
      all.onclick = () => { folded = false; all.remove(); show(); };
      const find = make("input", { className: "find", type: "search", placeholder: "Filter", });
      find.setAttribute("aria-label", "Filter " + table.parentElement.getAttribute("aria-label"));
      find.oninput = () => { query = find.value.toLowerCase(); all.hidden = query !== ""; show(); };
      card.querySelector(".hd").append(find);
    }
    show();
  }
})();
