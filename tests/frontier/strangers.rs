//! A fetcher of another make or version, or a broken one.

use super::*;

#[test]
fn an_error_of_an_unknown_kind_ends_its_url_as_io() {
    let folder = Folder::new();
    let run = serve(&folder, &["--retries", "1"]);
    answer_all(run, |request| match request["url"] == START {
        true => page(request, &["http://site.example/a", "http://site.example/b"]),
        false if request["url"] == "http://site.example/a" => error(request, "browser"),
        // Not even a message.
        false => json!({"url": request["url"], "id": request["id"], "error": {"kind": "x"}}),
    })
    .code(0);
    let records = records(&folder);
    let record = &records["http://site.example/a"];
    assert_eq!(record["error"]["kind"], "io");
    assert_eq!(record["error"]["message"], "browser: told");
    assert_eq!(record["attempts"], 2);
    assert_eq!(records["http://site.example/b"]["error"]["kind"], "io");
}

#[test]
fn a_line_that_is_no_result_is_a_failed_attempt_of_the_request_that_it_names() {
    let folder = Folder::new();
    let mut run = serve(&folder, &["--retries", "3", "--in-flight", "1"]);
    for number in 0..3 {
        let sent = requests(&run, number + 1);
        let id = &sent[number]["id"];
        run.send(&match number {
            0 => format!(r#"{{"url":"{START}","id":{id},"status":"200"}}"#),
            1 => format!(r#"{{"id":{id},"set_cookie":"sid=secret","url":"{START}"}}"#),
            _ => format!(r#"{{"url":"{START}","id":{id},"status":200,"links":["htt"#),
        });
    }
    let sent = requests(&run, 4);
    send(&mut run, &page(&sent[3], &[]));
    let done = run.wait().code(0).says("a result line is left out");
    assert!(!done.words().contains("secret"), "{done}");
    let record = &records(&folder)[START];
    assert_eq!(record["status"], 200);
    assert_eq!(record["attempts"], 4);
}

#[test]
fn one_that_answers_nonsense_for_ever_gets_its_record() {
    let folder = Folder::new();
    let run = serve(&folder, &["--retries", "1"]);
    answer_all(run, |request| {
        if request["url"] == START {
            page(request, &["http://site.example/a"])
        } else {
            json!({"id": request["id"]})
        }
    })
    .code(0);
    let record = &records(&folder)["http://site.example/a"];
    assert_eq!(record["error"]["kind"], "io");
    let message = record["error"]["message"].as_str().unwrap();
    assert!(
        message.starts_with("the fetcher's answer is no result"),
        "{message}"
    );
}

#[test]
fn wrong_and_repeated_ids_are_told_and_do_no_harm() {
    let folder = Folder::new();
    let mut run = serve(&folder, &["--robots"]);
    let robots = requests(&run, 1);
    let rules = json!({"url": "u", "id": robots[0]["id"], "status": 404});
    send(&mut run, &rules);
    send(&mut run, &rules);
    let first = requests(&run, 2);
    for id in [
        json!(1 << 20),
        json!(-1),
        json!(1_u64 << 51),
        json!(1_u64 << 52),
        json!((1_u64 << 52) + 1),
        json!((1_u64 << 52) + (1 << 32)),
        json!((1_u64 << 52) + (1 << 40)),
        json!(u64::MAX),
    ] {
        send(&mut run, &json!({"url": START, "id": id, "status": 200}));
    }
    send(&mut run, &page(&first[1], &["http://site.example/a"]));
    send(&mut run, &page(&first[1], &["http://site.example/b"]));
    let all = requests(&run, 3);
    assert_eq!(all[2]["url"], "http://site.example/a");
    send(&mut run, &page(&all[2], &[]));
    run.wait()
        .code(0)
        .says("a result line is left out: no request with id 4503599627370496 is under way");
    assert_eq!(records(&folder).len(), 2);
}

#[test]
fn one_that_is_silent_about_a_request_ends_the_run_and_then_the_request() {
    let folder = Folder::new();
    let mute = "http://site.example/mute";
    for ends in 0..4 {
        let mut run = serve(&folder, &["--answer-within", "700ms"]);
        let mut answered = 0;
        while run.status().is_none() {
            let stdout = run.stdout();
            let whole = stdout.rfind('\n').map_or("", |end| &stdout[..end]);
            for line in whole.lines().skip(answered) {
                answered += 1;
                let request: Value = serde_json::from_str(line).unwrap();
                if request["url"] != mute {
                    send(&mut run, &page(&request, &[mute, "http://site.example/a"]));
                }
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        if ends < 3 {
            run.wait()
                .code(1)
                .says("the fetcher says nothing of 1 request for 0.7s");
            assert_eq!(stat(&folder)["in_flight"], 1);
        } else {
            run.wait().code(0);
        }
    }
    let records = records(&folder);
    assert_eq!(records.len(), 3);
    assert_eq!(records[mute]["error"]["kind"], "io");
}

#[test]
fn one_that_is_silent_about_robots_txt_has_not_answered_for_it() {
    let folder = Folder::new();
    let mute = "http://mute.example/";
    let options = [
        "--robots",
        "--retries",
        "0",
        "--answer-within",
        "700ms",
        "--start",
        mute,
    ];
    let mut run = serve(&folder, &options);
    let first = requests(&run, 2);
    send(
        &mut run,
        &json!({"url": "u", "id": first[0]["id"], "status": 404}),
    );
    let all = requests(&run, 3);
    send(&mut run, &page(&all[2], &[]));
    // It is the host's fault, since another answered a moment ago.
    assert!(run.ends_within(support::DEADLINE), "{}", run.so_far());
    run.wait().code(0);
    let message = &records(&folder)[mute]["error"]["message"];
    assert_eq!(message, "no robots.txt: the fetcher was silent about it");
}

#[test]
fn a_record_has_the_url_of_its_request_whatever_the_fetcher_says() {
    let folder = Folder::new();
    let mut run = serve(&folder, &[]);
    let first = requests(&run, 1);
    let mut answer = page(&first[0], &["http://site.example/a"]);
    answer["url"] = json!("http://elsewhere.example/");
    answer["depth"] = json!(77);
    answer["bytes"] = json!(u64::MAX);
    answer["elapsed_ms"] = json!(u64::MAX);
    answer["links_dropped"] = json!(u64::MAX);
    send(&mut run, &answer);
    let all = requests(&run, 2);
    let mut answer = page(&all[1], &[]);
    answer["bytes"] = json!(u64::MAX);
    answer["links_dropped"] = json!(u64::MAX);
    send(&mut run, &answer);
    run.wait().code(0);
    let records = records(&folder);
    assert_eq!(records[START]["depth"], 0);
    assert!(records.contains_key("http://site.example/a"), "{records:?}");
}
