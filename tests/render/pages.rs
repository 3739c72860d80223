//! What a page has once its scripts have run.

use super::*;

#[test]
fn links_that_scripts_make_are_links() {
    if !has_browser() {
        return;
    }
    let (folder, site) = (Folder::new(), Site::new());
    site.page(
        "/",
        "<!DOCTYPE html><title>first</title><body><script src=/app.js></script><a href=static>x</a>\
         <in-shadow></in-shadow><iframe src=/d/frame></iframe><img src=/picture.png>",
    );
    let app = "addEventListener('load', () => {
      fetch('/data').then(answer => answer.json()).then(all => all.forEach(n => add('/data' + n)));
      setTimeout(() => { document.title = 'late'; add('/late'); }, 2500);
      setInterval(() => fetch('/poll'), 1000);
      new Worker('/worker.js').onmessage = event => add('/from-worker' + event.data);
    });
    customElements.define('in-shadow', class extends HTMLElement {
      connectedCallback() { add('/in-shadow', this.attachShadow({mode: 'open'})); }
    });
    history.pushState({}, '', '/route/');";
    site.on("/app.js", move |_| script(&format!("{ADD}{app}")));
    site.on("/worker.js", |_| {
        script(
            "fetch('/data').then(answer => answer.text()).then(text => postMessage(text.length))",
        )
    });
    site.on("/data", |_| Answer::typed("application/json", "[1,2]"));
    site.on("/poll", |_| Answer::text("x"));
    site.page("/d/frame", "<a href=in-frame>x</a>");
    let results = render(&folder, &site, &["/"]);
    let result = &results["/"];
    assert_eq!(
        links(result),
        [
            "/d/in-frame",
            "/data1",
            "/data2",
            "/from-worker5",
            "/in-shadow",
            "/late",
            "/route/static",
        ],
        "{result}"
    );
    assert_eq!(result["title"], "late");
    let told = &result["render"];
    assert_eq!(told["url"], site.url("/route/"));
    assert_eq!(told["blocked"], 1);
    assert_eq!(told.get("refused").or(told.get("failed")), None, "{told}");
    assert_ne!(told["digest"], result["digest"]);
    assert_eq!(site.hits("/picture.png"), 0);
    // Without the option nothing of it is there.
    let done = Tool::new("crawl-fetch").stdin(site.url("/")).run().code(0);
    let plain = &by_path(&done)["/"];
    assert_eq!(plain["digest"], result["digest"]);
    assert_eq!(plain["bytes"], result["bytes"]);
    assert_eq!(plain.get("render"), None);
    assert_eq!(links(plain), ["/static"]);
}

#[test]
fn a_redirect_by_script_is_told_and_what_is_no_page_is_not_rendered() {
    if !has_browser() {
        return;
    }
    let (folder, site) = (Folder::new(), Site::new());
    site.page("/go", "<script>location.href = '/there'</script>");
    site.page(
        "/reload",
        "<a href=/x>x</a><script>location.reload()</script>",
    );
    site.on("/none", |_| {
        Answer::html("<script>document.title = 1</script>").with_status(404)
    });
    site.on("/text", |_| {
        Answer::text("<script>document.title = 1</script>")
    });
    let results = render(&folder, &site, &["/go", "/reload", "/none", "/text"]);
    assert_eq!(results["/go"]["location"], site.url("/there"));
    assert_eq!(site.hits("/there"), 0);
    assert_eq!(links(&results["/reload"]), ["/x"]);
    assert_eq!(results["/reload"].get("location"), None);
    for path in ["/none", "/text"] {
        assert_eq!(results[path].get("render"), None, "{}", results[path]);
    }
    assert!(is_empty(&folder));
}

#[test]
fn what_a_page_asks_for_is_kept_with_it() {
    if !has_browser() {
        return;
    }
    let site = Site::new();
    site.page("/", "<title>x</title><script src=/app.js></script>");
    site.on("/app.js", |_| script("fetch('/list').then(r => r.text())"));
    site.on("/list", |_| Answer::text("a list"));
    let folder = Folder::new();
    std::fs::create_dir(folder.join("spool")).unwrap();
    let tool = renderer(&folder).args(["--max-redirects", "0", "--warc-spool", "spool"]);
    let done = tool.dir(&folder).stdin(site.url("/")).run().code(0);
    let spooled = &by_path(&done)["/"]["spool"];
    let others = spooled["others"].as_array().unwrap();
    let told = others.iter().map(|other| other["length"].as_u64().unwrap());
    let told: u64 = told.sum::<u64>() + spooled["length"].as_u64().unwrap();
    assert_eq!(others.len(), 2, "{done}");
    let file = folder.join("spool").join(spooled["file"].as_str().unwrap());
    assert_eq!(std::fs::metadata(file).unwrap().len(), told);
}

#[test]
fn a_request_says_how_its_page_is_rendered() {
    if !has_browser() {
        return;
    }
    let (folder, site) = (Folder::new(), Site::new());
    let more =
        "<script>fetch('/x').then(() => document.querySelector('a').href = '/shown')</script>";
    site.page("/", &format!("<a href=/sent>x</a>{more}"));
    let of = |wish: &str| {
        let request = format!("{{\"url\":\"{}\",\"render\":{wish}}}", site.url("/"));
        let done = renderer(&folder).stdin(request).run().code(0);
        by_path(&done).remove("/").unwrap()
    };
    assert_eq!(links(&of("true")), ["/shown"]);
    let none = of("false");
    assert_eq!(
        (links(&none), none.get("render")),
        (vec!["/sent".into()], None)
    );
    let wrong = of("{\"wait_for\":\"][\"}");
    let why = wrong["render"]["failed"].as_str().unwrap();
    assert!(why.contains("not a valid selector"), "{why}");
    // Nobody has it rendered.
    let request = format!("{{\"url\":\"{}\",\"render\":true}}", site.url("/"));
    let done = Tool::new("crawl-fetch").stdin(request).run().code(0);
    assert!(
        by_path(&done)["/"]["render"]["failed"].is_string(),
        "{done}"
    );
}

#[test]
fn cookies_go_both_ways() {
    if !has_browser() {
        return;
    }
    let (folder, site) = (Folder::new(), Site::new());
    site.on("/", |_| {
        let page = "<script>document.cookie = 'script=1; Max-Age=1000';
          fetch('/data').then(() => { document.title = document.cookie; });</script>";
        Answer::html(page).header("Set-Cookie", "server=2; HttpOnly")
    });
    site.on("/data", |_| {
        Answer::text("x").header("Set-Cookie", "data=3; Path=/")
    });
    let request = format!("{{\"url\":\"{}\",\"cookie\":\"sent=0\"}}", site.url("/"));
    let done = renderer(&folder).stdin(request).run().code(0);
    let result = &by_path(&done)["/"];
    let set: Vec<&str> = result["set_cookie"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it.as_str().unwrap())
        .collect();
    let mut names: Vec<&str> = set.iter().map(|it| it.split(';').next().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["data=3", "script=1", "server=2"]);
    assert!(
        set.iter()
            .any(|it| it.starts_with("script=1; Path=/; Expires=")),
        "{set:?}"
    );
    let asked = site
        .log()
        .into_iter()
        .find(|asked| asked.path == "/data")
        .unwrap();
    let cookie = asked.header("cookie").unwrap();
    for part in ["sent=0", "script=1", "server=2"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert_eq!(result["title"], "sent=0; script=1; data=3");
}
