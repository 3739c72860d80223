//! Pages that mean harm: the ways out, and what would never end.

use super::*;

/// Counts what arrives at a port, over TCP and UDP.
struct Ear {
    port: u16,
    heard: Arc<AtomicUsize>,
}

impl Ear {
    fn new() -> Ear {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = tcp.local_addr().unwrap().port();
        let udp = UdpSocket::bind(("127.0.0.1", port)).unwrap();
        let heard = Arc::new(AtomicUsize::new(0));
        let (by_tcp, by_udp) = (Arc::clone(&heard), Arc::clone(&heard));
        thread::spawn(move || {
            for stream in tcp.incoming() {
                by_tcp.fetch_add(1, Ordering::SeqCst);
                let answer = b"HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx";
                // What becomes of it does not matter.
                let _ = stream.unwrap().write_all(answer);
            }
        });
        thread::spawn(move || {
            while udp.recv_from(&mut [0; 100]).is_ok() {
                by_udp.fetch_add(1, Ordering::SeqCst);
            }
        });
        Ear { port, heard }
    }

    fn heard(&self) -> usize {
        self.heard.load(Ordering::SeqCst)
    }
}

/// All the ways that a page has to reach somebody, PORT in place of the port.
const WAYS_OUT: &str = "<!DOCTYPE html><body>
<link rel=prefetch href=http://127.0.0.1:PORT/prefetch>
<link rel=preload as=script href=http://127.0.0.1:PORT/preload>
<link rel=preconnect href=http://127.0.0.1:PORT>
<link rel=dns-prefetch href=http://localhost:PORT>
<link rel=modulepreload href=http://127.0.0.1:PORT/module>
<link rel=manifest href=http://127.0.0.1:PORT/manifest>
<link rel=icon href=http://127.0.0.1:PORT/icon>
<link rel=stylesheet href=http://127.0.0.1:PORT/style>
<style>@import 'http://127.0.0.1:PORT/import'; @font-face { font-family: x; src: url(http://127.0.0.1:PORT/font); }
  p { font-family: x; background: url(http://localhost:PORT/background); }</style><p>text
<img src=http://127.0.0.1:PORT/image><img src=http://[::ffff:127.0.0.1]:PORT/image6>
<script src=http://localhost:PORT/script></script>
<iframe src=http://127.0.0.1:PORT/frame></iframe>
<iframe srcdoc=\"<meta http-equiv=refresh content='0;url=http://127.0.0.1:PORT/refresh'>\"></iframe>
<object data=http://127.0.0.1:PORT/object></object><embed src=http://127.0.0.1:PORT/embed>
<video src=http://127.0.0.1:PORT/video autoplay></video><audio src=http://127.0.0.1:PORT/audio></audio>
<svg><image href=http://127.0.0.1:PORT/svg /><use href=http://127.0.0.1:PORT/use#x /></svg>
<a id=ping href=#x ping=http://127.0.0.1:PORT/ping>x</a>
<form id=form method=post action=http://127.0.0.1:PORT/form target=into></form><iframe name=into></iframe>
<script type=speculationrules>{\"prerender\":[{\"urls\":[\"http://127.0.0.1:PORT/prerender\"],\"eagerness\":\"immediate\"}]}</script>
<script>
  const to = 'http://127.0.0.1:PORT/', tries = [
    () => fetch(to + 'fetch').catch(() => 0),
    () => fetch(to + 'post', {method: 'POST', mode: 'no-cors', body: 'x', keepalive: true}).catch(() => 0),
    () => fetch('/redirect').catch(() => 0),
    () => fetch('http://2130706433:PORT/number').catch(() => 0),
    () => { const x = new XMLHttpRequest(); x.open('GET', to + 'xhr'); x.send(); },
    () => { const x = new XMLHttpRequest(); x.open('GET', to + 'sync', false); x.send(); },
    () => navigator.sendBeacon(to + 'beacon', 'x'),
    () => ping.click(),
    () => new WebSocket('ws://127.0.0.1:PORT/socket'),
    () => new WebSocket('wss://localhost:PORT/socket'),
    () => new WebTransport('https://127.0.0.1:PORT/transport').ready.catch(() => 0),
    () => new EventSource(to + 'events'),
    () => new Worker(URL.createObjectURL(new Blob(['importScripts(\"' + to + 'worker\")']))),
    () => new Worker(URL.createObjectURL(new Blob(['fetch(\"' + to + 'inside\").catch(() => 0); new WebSocket(\"ws://127.0.0.1:PORT\")']))),
    () => new SharedWorker('/shared.js'),
    () => navigator.serviceWorker.register('/service.js').catch(() => 0),
    () => import(to + 'imported').catch(() => 0),
    () => new Worker(to + 'module', {type: 'module'}),
    () => new Worker(URL.createObjectURL(new Blob(['import \"' + to + 'deep\"'])), {type: 'module'}),
    () => new AudioContext().audioWorklet.addModule(to + 'worklet').catch(() => 0),
    () => new WebSocketStream('ws://127.0.0.1:PORT/stream').opened.catch(() => 0),
    () => fetchLater(to + 'later', {activateAfter: 0}),
    () => document.body.insertAdjacentHTML('beforeend', '<video><track default src=' + to + 'track></video>'),
    () => open(to + 'popup'),
    () => form.submit(),
    () => { const f = document.createElement('iframe'); f.src = 'javascript:fetch(\"' + to + 'script-frame\")'; document.body.append(f); },
    () => addEventListener('pagehide', () => navigator.sendBeacon(to + 'hide', 'x')),
    () => {
      const peer = new RTCPeerConnection({iceServers: [
        {urls: 'stun:127.0.0.1:PORT'},
        {urls: ['turn:127.0.0.1:PORT?transport=udp', 'turn:127.0.0.1:PORT?transport=tcp'], username: 'x', credential: 'x'},
      ]});
      peer.createDataChannel('x');
      peer.createOffer().then(offer => peer.setLocalDescription(offer));
    },
  ];
  let done = 0;
  for (const way of tries) try { way(); done++; } catch { done++; }
  const a = document.createElement('a');
  a.href = '/tried/' + done;
  document.body.append(a);
</script>";

#[test]
fn a_page_reaches_nobody_but_its_own_server() {
    if !has_browser() {
        return;
    }
    let (folder, site, ear) = (Folder::new(), Site::new(), Ear::new());
    let port = ear.port.to_string();
    let page = WAYS_OUT.replace("PORT", &port);
    let reports = format!("img-src 'none'; report-uri http://127.0.0.1:{port}/report");
    site.on("/", move |_| {
        let report = "Content-Security-Policy-Report-Only";
        Answer::html(&*page).header(report, &reports)
    });
    let out = format!("http://127.0.0.1:{port}/redirected");
    site.on("/redirect", move |_| Answer::redirect(&out));
    let last = format!(
        "<script>const last = () => {{
          navigator.sendBeacon('http://127.0.0.1:{port}/last', 'x');
          fetch('http://127.0.0.1:{port}/kept', {{keepalive: true}}).catch(() => 0);
        }};
        for (const end of ['pagehide', 'unload', 'visibilitychange', 'beforeunload']) addEventListener(end, last);
        location = '/away';</script>"
    );
    site.page("/last", &last);
    let inner = format!("fetch('http://127.0.0.1:{port}/worker')");
    site.on("/shared.js", move |_| script(&inner));
    site.on("/service.js", |_| script("fetch('/x')"));
    let mut results = render(&folder, &site, &["/", "/last"]);
    assert_eq!(results["/last"]["location"], site.url("/away"));
    let result = results.remove("/").unwrap();
    assert_eq!(links(&result), ["/", "/tried/28"], "{result}");
    let told = &result["render"];
    assert_eq!(told.get("failed"), None, "{told}");
    let count = |name: &str| told[name].as_u64().unwrap_or_default();
    assert!(count("refused") + count("blocked") > 15, "{told}");
    assert_eq!(ear.heard(), 0, "{told}");
    // The ear hears what is allowed.
    let done = renderer(&folder)
        .arg("--render-private")
        .stdin(site.url("/"))
        .run();
    assert!(ear.heard() > 0, "{done}");
}

#[test]
fn a_hostile_page_ends_and_its_neighbours_do_not_notice() {
    if !has_browser() {
        return;
    }
    let (folder, site) = (Folder::new(), Site::new());
    let add = |text: &str| format!("<a href=/x>x</a><script>{text}</script>");
    let hostile = [
        ("/loop", "while (true);"),
        (
            "/promises",
            "const f = () => Promise.resolve().then(f); f();",
        ),
        (
            "/dialogs",
            "for (let n = 0; n < 150; n++) alert(n), confirm(n), prompt(n);",
        ),
        (
            "/leave",
            "onbeforeunload = event => event.preventDefault();",
        ),
        (
            "/popups",
            "for (let n = 0; n < 30; n++) open('/popup' + n);",
        ),
        (
            "/heap",
            "const all = []; while (true) all.push(new Array(1e6).fill(all.length));",
        ),
        (
            "/buffers",
            "const all = []; setInterval(() => all.push(new Uint8Array(5e7).fill(1)));",
        ),
        (
            "/picture",
            "requestAnimationFrame(() => { while (true); });",
        ),
        (
            "/pictures",
            "const f = () => { document.body.append('x'); requestAnimationFrame(f); }; f();",
        ),
        ("/write", "while (true) document.write('<p>x');"),
        (
            "/requests",
            "for (let n = 0; n < 10000; n++) fetch('/data' + n).catch(() => 0);",
        ),
        ("/around", "location = '/around?' + Math.random();"),
        (
            "/frames",
            "if (top === self || location.hash.length < 40) { \
            const f = document.createElement('iframe'); f.src = location + '#x'; document.body.append(f); }",
        ),
        (
            "/worker",
            "new Worker(URL.createObjectURL(new Blob(['while (true);'])));",
        ),
        (
            "/download",
            "const a = document.createElement('a'); a.href = '/file'; a.download = 'x'; \
            document.body.append(a); a.click();",
        ),
        (
            "/clobber",
            "document.write('<img name=documentElement><form><input name=nodeType></form>'); \
            Element.prototype.querySelectorAll = null; Object.getOwnPropertyDescriptor = null;",
        ),
    ];
    for (path, text) in hostile {
        let page = format!("<body>{}", add(text));
        site.page(path, &page);
    }
    site.on("/file", |_| {
        let answer = Answer::typed("application/octet-stream", "x");
        answer.header("Content-Disposition", "attachment; filename=x")
    });
    let around = site.url("/around");
    assert!(!around.is_empty());
    let neighbour = add("setTimeout(() => { document.title = 'neighbour'; }, 1000)");
    for n in 0..20 {
        site.page(&format!("/neighbour{n}"), &neighbour);
    }
    let neighbours: Vec<String> = (0..20).map(|n| format!("/neighbour{n}")).collect();
    let mut paths: Vec<&str> = hostile.iter().map(|(path, _)| *path).collect();
    paths.extend(neighbours.iter().map(|path| &**path));
    let urls: Vec<String> = paths.iter().map(|path| site.url(path)).collect();
    let done = renderer(&folder)
        .args(["--render-timeout", "5s", "--render-memory", "1G"])
        .stdin(urls.join("\n"))
        .run()
        .code(0);
    let results = by_path(&done);
    assert_eq!(results.len(), paths.len(), "{done}");
    // On a busy machine a loop next door may take the time of some.
    let (cut, whole): (Vec<&Value>, Vec<&Value>) = neighbours
        .iter()
        .map(|path| &results[path.as_str()])
        .partition(|result| result["render"]["cut"] == "time");
    assert!(!whole.is_empty(), "{cut:?}");
    for result in whole {
        assert_eq!(result["title"], "neighbour", "{result}");
    }
    for (path, _) in hostile {
        let result = &results[path];
        assert!(result["render"].is_object(), "{path}: {result}");
        if path != "/around" {
            assert!(links(result).contains(&"/x".to_owned()), "{path}: {result}");
        }
    }
    assert_eq!(results["/requests"]["render"]["cut"], "requests");
    assert_eq!(results["/loop"]["render"]["cut"], "time");
    for n in 0..30 {
        assert_eq!(site.hits(&format!("/popup{n}")), 0);
    }
    let files = folder.files();
    assert!(is_empty(&folder) && files.is_empty(), "{files:?}");
}
