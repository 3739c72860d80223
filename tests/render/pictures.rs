//! Pages that wait to be seen: lists that are scrolled, scripts that want pictures.

use super::*;

/// Lists of 45 links that come as they are seen, each made in another way.
const LISTS: [(&str, &str); 5] = [
    // An end that is seen again each time.
    ("/end", "<div id=list></div><div id=end>end</div><script>
      more();
      new IntersectionObserver(seen => seen[0].isIntersecting && setTimeout(more, 100)).observe(end);
    </script>"),
    // Less than a window comes each time, from the server.
    ("/data", "<div style='height: 3000px'></div><div id=list></div><div id=end>end</div><script>
      const size = 20;
      new IntersectionObserver(seen => seen[0].isIntersecting && fetch('/x').then(more)).observe(end);
    </script>"),
    ("/event", "<div id=list></div><script>
      more();
      addEventListener('scroll', () => scrollY + innerHeight > document.body.scrollHeight - 50 && more());
    </script>"),
    ("/box", "<div style='height: 400px; overflow-y: scroll' id=box><div id=list></div><div id=end>end</div></div><script>
      more();
      new IntersectionObserver(seen => seen[0].isIntersecting && more(), {root: box}).observe(end);
    </script>"),
    // Places that are filled one by one, where they are.
    ("/places", "<div id=list></div><script>
      const seen = new IntersectionObserver(all => all.forEach(one => one.isIntersecting && one.target.fill()));
      for (let n = 1; n <= 45; n++) {
        const place = document.createElement('p');
        place.style.height = '300px';
        place.fill = () => { place.fill = () => 0; add('/' + n, place); };
        list.append(place);
        seen.observe(place);
      }
    </script>"),
];

#[test]
fn a_list_that_comes_as_it_is_seen_comes_whole_each_time() {
    if !has_browser() {
        return;
    }
    let (folder, site) = (Folder::new(), Site::new());
    for (path, list) in LISTS {
        let more = "let n = 0;
          const more = () => {
            for (let i = 0; i < 10 && n < 45; i++) {
              add('/' + ++n, list);
              list.lastChild.style.cssText = 'display: block; height: ' + (globalThis.size || 300) + 'px';
            }
          };";
        site.page(
            path,
            &format!("<!DOCTYPE html><script>{ADD}{more}</script>{list}"),
        );
    }
    let mut all: Vec<String> = (1..=45).map(|n| format!("/{n}")).collect();
    all.sort();
    let again = (0..4).flat_map(|_| LISTS.iter());
    let requests = again.map(|(path, _)| {
        format!(
            "{{\"url\":\"{}\",\"render\":{{\"scroll\":true}}}}\n",
            site.url(path)
        )
    });
    let done = renderer(&folder)
        .stdin(requests.collect::<String>())
        .run()
        .code(0);
    assert_eq!(done.lines().len(), 20);
    for line in done.lines() {
        let result: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(links(&result), all, "{result}");
    }
}

#[test]
fn a_page_that_waits_for_pictures_of_itself_gets_them() {
    if !has_browser() {
        return;
    }
    let (folder, site) = (Folder::new(), Site::new());
    let ways = [
        (
            "frame",
            "requestAnimationFrame(() => requestAnimationFrame(told))",
        ),
        ("idle", "requestIdleCallback(told)"),
        (
            "idle-work",
            "let left = 120; const work = moment => { while (moment.timeRemaining() > 0 && left) left--; \
            left ? requestIdleCallback(work) : told() }; requestIdleCallback(work)",
        ),
        (
            "seen",
            "new IntersectionObserver(seen => seen[0].isIntersecting && told()).observe(document.body)",
        ),
        (
            "size",
            "new (class extends ResizeObserver {})(told).observe(document.body)",
        ),
        (
            "animation",
            "document.body.animate({opacity: [0, 1]}, 100).finished.then(told)",
        ),
        (
            "inside",
            "const frame = document.createElement('iframe'); document.body.append(frame); \
            frame.contentWindow.requestAnimationFrame(told)",
        ),
        (
            "late",
            "setTimeout(() => requestAnimationFrame(told), 2000)",
        ),
        (
            "hidden",
            "if (IntersectionObserver.toString().includes('native code') \
            && requestAnimationFrame.name === 'requestAnimationFrame') told()",
        ),
    ];
    for (path, way) in ways {
        let page = format!("<body><script>{ADD} const told = () => add('/told'); {way}</script>");
        site.page(&format!("/{path}"), &page);
    }
    let paths: Vec<String> = ways.iter().map(|(path, _)| format!("/{path}")).collect();
    let paths: Vec<&str> = paths.iter().map(|path| &**path).collect();
    for (path, result) in render(&folder, &site, &paths) {
        assert_eq!(links(&result), ["/told"], "{path}: {result}");
    }
}
