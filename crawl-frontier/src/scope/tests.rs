use super::*;

fn scope(change: impl FnOnce(&mut plan::Scope)) -> Scope {
    let mut plan = plan::Scope::default();
    change(&mut plan);
    Scope::compile(&plan, false).unwrap()
}

#[test]
fn a_domain_allows_itself_and_what_is_below() {
    let scope = scope(|s| s.allowed_domains = vec!["Example.com".into()]);
    assert!(scope.admit("http://example.com/", 0, By::Url).is_ok());
    assert!(
        scope
            .admit("https://www.example.com:8443/x", 0, By::Url)
            .is_ok()
    );
    assert_eq!(
        scope.admit("http://badexample.com/", 0, By::Url),
        Err(Refusal::Domain)
    );
    assert_eq!(
        scope.admit("http://example.com.evil/", 0, By::Url),
        Err(Refusal::Domain)
    );
    assert_eq!(
        scope.admit("http://evil/?example.com", 0, By::Url),
        Err(Refusal::Domain)
    );
}

#[test]
fn a_host_is_that_host_and_port_only() {
    let scope = scope(|s| s.allowed_hosts = vec!["a.example:81".into()]);
    assert!(scope.admit("http://a.example:81/x", 0, By::Url).is_ok());
    assert_eq!(
        scope.admit("http://a.example/x", 0, By::Url),
        Err(Refusal::Domain)
    );
    assert_eq!(
        scope.admit("http://b.a.example:81/x", 0, By::Url),
        Err(Refusal::Domain)
    );
}

#[test]
fn the_first_rule_that_matches_decides() {
    let rule = |allow: &str, deny: &str, follow, priority| plan::Rule {
        allow: vec![allow.into()],
        deny: if deny.is_empty() {
            vec![]
        } else {
            vec![deny.into()]
        },
        follow,
        priority,
        ..plan::Rule::default()
    };
    let scope = scope(|s| {
        s.rules = vec![
            rule("/item/", "draft", false, 5),
            rule("/list", "", true, 0),
        ];
    });
    assert_eq!(
        scope.admit("http://a/item/1", 0, By::Url),
        Ok(Admission {
            priority: 5,
            follow: false
        })
    );
    assert_eq!(
        scope.admit("http://a/list/item/draft", 0, By::Url),
        Ok(PLAIN)
    );
    assert_eq!(
        scope.admit("http://a/item/draft", 0, By::Url),
        Err(Refusal::Rule)
    );
    assert_eq!(
        scope.admit("http://a/other", 0, By::Url),
        Err(Refusal::Rule)
    );
}

#[test]
fn files_that_are_no_pages_are_left_out_unless_wanted() {
    let usual = scope(|_| ());
    assert_eq!(
        usual.admit("http://a/x.PDF?y", 0, By::Url),
        Err(Refusal::Extension)
    );
    assert!(usual.admit("http://a/x.html", 0, By::Url).is_ok());
    assert!(usual.admit("http://a.zip/pdf", 0, By::Url).is_ok());
    let all = scope(|s| s.deny_extensions = Some(vec![".html".into()]));
    assert!(all.admit("http://a/x.pdf", 0, By::Url).is_ok());
    assert_eq!(
        all.admit("http://a/x.html", 0, By::Url),
        Err(Refusal::Extension)
    );
}

#[test]
fn traps_end() {
    let scope = scope(|s| s.depth_limit = Some(3));
    assert_eq!(
        scope.admit("http://a/a/a/a/a/", 0, By::Url),
        Err(Refusal::Trap)
    );
    assert!(scope.admit("http://a/a/a/a/b/", 0, By::Url).is_ok());
    assert_eq!(
        scope.admit(&format!("http://a/{}", "x".repeat(3000)), 0, By::Url),
        Err(Refusal::Trap)
    );
    let deep: String = (0..60).map(|n| format!("/{n}")).collect();
    assert_eq!(
        scope.admit(&format!("http://a{deep}"), 0, By::Url),
        Err(Refusal::Trap)
    );
    assert_eq!(scope.admit("http://a/", 4, By::Url), Err(Refusal::Depth));
}

#[test]
fn private_places_are_not_met_from_outside() {
    let public = scope(|_| ());
    for host in [
        "127.0.0.1",
        "10.1.2.3",
        "169.254.169.254",
        "[::1]",
        "localhost",
        "100.64.0.1",
        "[::ffff:10.0.0.1]",
        "0.0.0.0",
    ] {
        assert_eq!(
            public.admit(&format!("http://{host}:8/"), 0, By::Url),
            Err(Refusal::Private),
            "{host}"
        );
    }
    assert!(public.admit("http://8.8.8.8/", 0, By::Url).is_ok());
    let inside = Scope::compile(&plan::Scope::default(), true).unwrap();
    assert!(inside.admit("http://127.0.0.1:8/", 0, By::Url).is_ok());
}

#[test]
fn a_bad_rule_is_named() {
    let plan = plan::Scope {
        rules: vec![plan::Rule {
            allow: vec!["ok".into(), "(".into()],
            ..Default::default()
        }],
        ..Default::default()
    };
    let error = Scope::compile(&plan, false).unwrap_err();
    let start = "rule 0: allow '(' is no regular expression: ";
    assert!(error.starts_with(start), "{error}");
}

#[test]
fn a_link_of_which_a_pattern_cannot_tell_in_time_is_left_out_and_told() {
    let forever = r"^http://h/((a|aa)+)\1c";
    let url = format!("http://h/{}b", "a".repeat(60));
    let allow = plan::Rule {
        allow: vec![forever.into()],
        ..Default::default()
    };
    let deny = plan::Rule {
        deny: vec![forever.into()],
        ..Default::default()
    };
    for rule in [allow, deny] {
        let scope = scope(|s| s.rules = vec![rule]);
        assert_eq!(scope.admit(&url, 1, By::Url), Err(Refusal::Rule));
        let why = scope.why(Refusal::Rule, &url, 1);
        assert_eq!(why, "a pattern of rule 1 takes too long on it");
    }
}
