//! Whose the output file is, and what never gets into it.

use super::*;

#[test]
fn a_file_that_is_there_is_nobodys_to_write_into() {
    let folder = Folder::new();
    folder.write("out.jsonl", "mine\n");
    serve(&folder, &[])
        .wait()
        .code(2)
        .says("the file exists already");
    assert_eq!(folder.read("out.jsonl"), "mine\n");
}

#[test]
fn a_password_in_a_url_goes_to_the_fetcher_and_not_into_the_output() {
    let folder = Folder::new();
    let args = [
        "serve",
        "--job",
        "job",
        "--start",
        "http://me:secret@a.example/",
    ];
    let run = frontier(&folder)
        .args(args)
        .args(["--output", "out.jsonl"])
        .start();
    let done = answer_all(run, |request| page(request, &[]));
    assert!(done.text().contains("secret"));
    done.code(0);
    let output = folder.read("out.jsonl");
    assert!(
        output.contains("a.example") && !output.contains("secret"),
        "{output}"
    );
}

#[test]
fn a_resume_keeps_its_output() {
    let folder = Folder::new();
    let run = serve(&folder, &[]);
    requests(&run, 1);
    run.signal(Signal::Int);
    run.wait_says("pausing");
    run.signal(Signal::Int);
    run.wait().code(130);
    let other = [
        "serve",
        "--job",
        "job",
        "--start",
        START,
        "--output",
        "other.jsonl",
    ];
    frontier(&folder)
        .args(other)
        .run()
        .code(2)
        .says("began with the output");
    assert!(
        !folder
            .files()
            .iter()
            .any(|file| file.ends_with("other.jsonl"))
    );
}
