//! Passwords and TLS of a store.

use std::net::TcpListener;
use std::thread;

use crate::scene::{PAGES, Scene, Shape};
use crate::support::{Redis, Tool};

#[test]
fn a_password_is_taken_from_the_environment_and_shown_nowhere() {
    let options = ["--appendonly", "yes", "--requirepass", "s3cret-word"];
    let Some(scene) = Scene::over(&options) else {
        return;
    };
    let a = scene.worker("a").env("CRAWL_STORE_PASSWORD", "s3cret-word");
    a.args(["--max-pages", "20"]).run().code(4);
    scene.ckpt(["ls"]).run().code(1).never_says("s3cret");
    for words in [
        "ls",
        "show tree",
        "size",
        "verify",
        "pull tree -o copy",
        "pause tree",
        "rm tree --yes",
    ] {
        let tool = scene
            .ckpt(words.split(' '))
            .env("CRAWL_STORE_PASSWORD", "s3cret-word");
        let done = tool.run().code(0).never_says("s3cret");
        assert!(!done.text().contains("s3cret"), "{done}");
    }
}

#[test]
fn a_user_who_may_not_do_what_is_needed_and_a_store_that_is_full_are_told_with_the_way_out() {
    let Some(scene) = Scene::new() else { return };
    let redis = scene.redis();
    let rights = [
        "on",
        ">s3cret-word",
        "~*",
        "+@read",
        "+@connection",
        "+info",
    ];
    let user = ["ACL", "SETUSER", "reader"].into_iter().chain(rights);
    assert_eq!(redis.ask(&user.collect::<Vec<_>>()), "OK");
    let url = redis.url_as("redis://reader@127.0.0.1");
    let worker = Tool::new("crawl-run").dir(&scene.folder);
    let worker = worker.args(["tree.json", "--worker", "a", "--store", &url]);
    let refused = worker.env("CRAWL_STORE_PASSWORD", "s3cret-word").run();
    refused
        .code(2)
        .says("cannot use the store: ")
        .says("its user has no permission to ")
        .says("ACL SETUSER NAME ~* +@all");
    assert_eq!(redis.ask(&["CONFIG", "SET", "maxmemory", "1"]), "OK");
    let full = scene.worker("a").args(["--outage", "1s"]).run().code(1);
    full.says("the store takes nothing more: its memory is full (maxmemory)")
        .never_says("cannot be reached");
    assert_eq!(scene.site.count(), 0);
}

#[test]
fn over_tls_a_store_is_trusted_by_an_authority_of_its_own_and_takes_a_user_with_a_password() {
    let Some(redis) = Redis::secure() else { return };
    let user = [
        "ACL",
        "SETUSER",
        "crawler",
        "on",
        ">s3cret-word",
        "~*",
        "+@all",
    ];
    assert_eq!(redis.ask(&user), "OK");
    assert_eq!(redis.ask(&["ACL", "SETUSER", "default", "off"]), "OK");
    let (authority, url) = (
        redis.authority(),
        redis.url_as("rediss://crawler@localhost"),
    );
    let scene = Scene::in_store(url.clone(), Some(redis), Shape::Tree);
    let trusting = |tool: Tool| {
        let tool = tool.env("CRAWL_STORE_CA_CERT", &authority);
        tool.env("CRAWL_STORE_PASSWORD", "s3cret-word")
    };
    let some = scene.worker("a").args(["--max-pages", "20"]);
    trusting(some).run().code(4).never_says("s3cret");
    for (words, prints) in [
        ("ls", "tree"),
        ("show tree", &*format!("crawl-run tree.json --store {url}")),
        ("verify", "sound"),
        ("pull tree -o copy", ""),
        ("pause tree", ""),
        ("resume tree", ""),
    ] {
        let done = trusting(scene.ckpt(words.split(' '))).run().code(0);
        let done = done.never_says("s3cret").prints(prints);
        assert!(!done.text().contains("s3cret"), "{done}");
    }
    trusting(scene.worker("b")).run().code(0);
    trusting(scene.worker("a")).run().code(0);
    let records = scene.records(&["a", "b"]);
    assert_eq!(records.len(), PAGES);
    assert!(records.values().all(|count| *count == 1));
    let wrong = trusting(scene.ckpt(["ls"])).env("CRAWL_STORE_PASSWORD", "wr0ng-word");
    wrong
        .run()
        .code(1)
        .says("authentication")
        .never_says("wr0ng");
}

#[test]
fn what_is_wrong_with_tls_to_a_store_is_told_with_the_way_out() {
    let Some(redis) = Redis::secure() else { return };
    let (authority, plain) = (redis.authority(), redis.url_as("redis://localhost"));
    let other_name = redis.url_as("rediss://127.0.0.1");
    let scene = Scene::in_store(redis.url_as("rediss://localhost"), Some(redis), Shape::Tree);
    let unknown =
        "no authority that is trusted here: name yours, as a PEM file, in $CRAWL_STORE_CA_CERT";
    scene.ckpt(["ls"]).run().code(1).says(unknown);
    scene.worker("a").run().code(2).says(unknown);
    let trusting = |tool: Tool| tool.env("CRAWL_STORE_CA_CERT", &authority);
    trusting(scene.ckpt(["ls"])).run().code(0);
    let systems = scene.ckpt(["ls"]).env("SSL_CERT_FILE", &authority);
    systems.run().code(0);
    for (file, says) in [
        (
            "no-such-file",
            "$CRAWL_STORE_CA_CERT: no-such-file: No such file",
        ),
        (
            "tree.json",
            "$CRAWL_STORE_CA_CERT: tree.json: no certificate (PEM) in it",
        ),
    ] {
        let ckpt = scene.ckpt(["ls"]).env("CRAWL_STORE_CA_CERT", file);
        ckpt.run().code(1).says(says);
        let worker = scene.worker("a").env("CRAWL_STORE_CA_CERT", file);
        worker.run().code(2).says(says);
    }
    let at = |url: &str| trusting(Tool::new("crawl-ckpt").args(["--store", url, "ls"])).run();
    at(&other_name)
        .code(1)
        .says("its certificate is for another host")
        .says("localhost");
    let without = Redis::durable().unwrap();
    for (wrong, says) in [
        (plain, "a store with TLS is named rediss://"),
        (
            without.url_as("rediss://localhost"),
            "a store without TLS is named redis://",
        ),
    ] {
        at(&wrong).code(1).says(says);
        let worker = Tool::new("crawl-run").dir(&scene.folder);
        let worker = worker.args(["tree.json", "--store", &wrong]);
        // One that may come back would be waited for, and end with 1.
        trusting(worker).run().code(2).says(says);
    }
    let wants = ["CONFIG", "SET", "tls-auth-clients", "yes"];
    assert_eq!(scene.redis().ask(&wants), "OK");
    trusting(scene.ckpt(["ls"]))
        .run()
        .code(1)
        .says("set tls-auth-clients no");
    trusting(scene.worker("a"))
        .run()
        .code(2)
        .says("set tls-auth-clients no");
    assert_eq!(scene.site.count(), 0);
}

#[test]
fn a_store_that_answers_nobody_is_not_said_to_have_the_wrong_scheme() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    // As one does that is killed, or that somebody relays to who is gone.
    thread::spawn(move || listener.incoming().for_each(drop));
    for scheme in ["redis", "rediss"] {
        let url = format!("{scheme}://{at}/");
        let ckpt = Tool::new("crawl-ckpt").args(["--store", &url, "ls", "--outage", "1s"]);
        let done = ckpt.run().code(1).says("the store cannot be reached");
        done.never_says("is named");
    }
}
