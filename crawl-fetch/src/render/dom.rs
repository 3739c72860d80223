//! The scripts that look at a page. They run in a world of their own: what a page's scripts did to
//! the functions of the language does not hold there.

/// Gives the page as it stands as markup, and its URL. What is in open shadow roots and in frames
/// of the same origin stands in elements of their own, since markup has no place for it; links in
/// frames are made absolute. Getters are called by their prototype: elements of a page can have
/// the names of a document's properties.
pub const TAKE: &str = r#"(most => {
  const getter = (type, name) => {
    const get = Object.getOwnPropertyDescriptor(type.prototype, name).get;
    return of => get.call(of);
  };
  const rootOf = getter(Document, 'documentElement');
  const shadowOf = getter(Element, 'shadowRoot');
  const markupOf = getter(Element, 'outerHTML');
  const frameOf = getter(HTMLIFrameElement, 'contentDocument');
  const nameOf = getter(Element, 'localName');
  // Nodes of frames are of other types than ours, by the same names.
  const isShadow = node => node.nodeType === 11;
  const all = of => (isShadow(of) ? DocumentFragment : Element).prototype.querySelectorAll.call(of, '*');
  const insideOf = element => {
    const shadow = shadowOf(element);
    if (shadow) return shadow;
    const frame = nameOf(element) === 'iframe' && frameOf(element);
    return frame && rootOf(frame);
  };
  const root = rootOf(document);
  let markup = '';
  if (root) {
    let hidden = false;
    for (const element of all(root)) if (insideOf(element)) { hidden = true; break; }
    if (!hidden) {
      markup = markupOf(root);
    } else {
      // Nothing runs in a document that is not shown.
      const still = document.implementation.createHTMLDocument('');
      const copy = (from, depth) => {
        let to;
        if (isShadow(from)) {
          // It is no node to import.
          to = still.createDocumentFragment();
          for (const child of from.childNodes) to.append(still.importNode(child, true));
        } else {
          to = still.importNode(from, true);
        }
        const [froms, tos] = [all(from), all(to)];
        for (let n = 0; n < froms.length && depth < 32; n++) {
          const inside = insideOf(froms[n]);
          if (!inside) continue;
          const place = still.createElement(isShadow(inside) ? 'shadow-root' : 'frame-document');
          if (isShadow(inside)) {
            place.append(copy(inside, depth + 1));
            tos[n].prepend(place);
          } else {
            const inner = copy(inside, depth + 1);
            const [links, copies] = [all(inside), all(inner)];
            for (let i = 0; i < links.length; i++)
              if (nameOf(links[i]) === 'a' && links[i].hasAttribute('href'))
                copies[i].setAttribute('href', links[i].href);
            place.append(...inner.childNodes);
            tos[n].after(place);
          }
        }
        return to;
      };
      markup = markupOf(copy(root, 0));
    }
  }
  const doctype = document.compatMode === 'BackCompat' ? '' : '<!DOCTYPE html>';
  return {
    markup: doctype + markup.slice(0, most),
    cut: markup.length > most,
    url: getter(Document, 'URL')(document),
  };
})"#;

/// Runs before a page does: what another page of its origin kept in this tab is not there. Hears from
/// [`WATCH`]; `document` hears it first, so no script of the page does.
pub const BEGIN: &str = "if (self === top) try {
  localStorage.clear();
  sessionStorage.clear();
} catch {
  // Its origin has none.
}
document.addEventListener('crawl-draws', event => {
  event.stopImmediatePropagation();
  try {
    top.draws = true;
  } catch {
    // A frame that nothing is taken of.
  }
}, true);";

/// Runs before a page does, among its own scripts: tells when they want pictures of it to be made.
/// A picture needs a layout, which is half of what most pages cost, and most never ask.
pub const WATCH: &str = "{
  const [event, dispatch] = [Event, EventTarget.prototype.dispatchEvent];
  const watch = (of, name) => {
    const was = Object.getOwnPropertyDescriptor(of, name);
    if (!was || !was.value) return;
    const told = it => {
      Object.defineProperty(of, name, was);
      dispatch.call(document, new event('crawl-draws'));
      return it;
    };
    const value = new Proxy(was.value, {
      apply: (...it) => Reflect.apply(...told(it)),
      construct: (...it) => Reflect.construct(...told(it)),
    });
    Object.defineProperty(of, name, {...was, value});
  };
  for (const name of ['requestAnimationFrame', 'IntersectionObserver', 'ResizeObserver'])
    watch(globalThis, name);
  watch(Element.prototype, 'animate');
  watch(Document.prototype, 'startViewTransition');
  // An idle moment comes between pictures, and on a busy machine never: the page's clock brings it.
  // That clock stands while a script runs, so each look at what is left of the moment takes some of it.
  requestIdleCallback = new Proxy(requestIdleCallback, {
    apply: (idle, self, [then]) => {
      let left = 50;
      const moment = {didTimeout: false, timeRemaining: () => (left > 0 ? left-- : 0)};
      const called = typeof then === 'function' ? () => then(moment) : then;
      return Reflect.apply(idle, self, [called, {timeout: 50}]);
    },
  });
}";

/// Whether they want that. A frame that loads when it is seen does as well.
pub const DRAWS: &str = "globalThis.draws === true || Document.prototype.querySelector.call(document, 'iframe[loading=lazy]') !== null";

/// Takes all elements and listeners from a page.
pub const END: &str = "Document.prototype.open.call(document); 0";

/// Gives what changes when more of the page comes.
pub const SIZE: &str = "Document.prototype.querySelectorAll.call(document, '*').length";

/// Scrolls on by what is seen at once, also within the page; gives what changes as long as there is more.
pub const SCROLL: &str = "(() => {
  const all = Document.prototype.querySelectorAll.call(document, '*');
  window.scrollBy(0, innerHeight * 0.9);
  const root = document.scrollingElement;
  const seen = [all.length, scrollY, root ? root.scrollHeight : 0];
  for (const element of all) {
    const height = element.clientHeight;
    if (element === root || !(height > 50 && element.scrollHeight > height)) continue;
    element.scrollTop += height * 0.9;
    seen.push(element.scrollTop, element.scrollHeight);
  }
  return seen.join(' ');
})()";

/// Whether an element is there.
pub const FIND: &str =
    "(selector => Document.prototype.querySelector.call(document, selector) !== null)";
