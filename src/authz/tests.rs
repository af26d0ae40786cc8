//! J82 and the contract's `require`: exact words, exact types.

use super::*;
use proptest::prelude::*;
use serde_json::json;

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn key(name: &str) -> ClaimName {
    ClaimName::Key(name.into())
}

fn path(names: &[&str]) -> ClaimName {
    ClaimName::Path(names.iter().map(|name| (*name).into()).collect())
}

fn holds(line: &Line, claims: Value) -> bool {
    Requirement { lines: vec![line.clone()] }.check(&Claims::unverified(claims)).is_ok()
}

fn run(line: &Line, rows: &[(&str, Value, bool)]) {
    for (name, claims, expected) in rows {
        assert_eq!(holds(line, claims.clone()), *expected, "{line:?}: {name}: {claims}");
    }
}

#[test]
fn j82_scopes_are_whole_words_of_a_string_or_an_array() {
    let one = Line::AllScopes(words(&["read:a"]));
    let rows = [
        ("alone", json!({"scope": "read:a"}), true),
        ("first", json!({"scope": "read:a write:a"}), true),
        ("last", json!({"scope": "openid read:a"}), true),
        ("after two spaces", json!({"scope": "openid  read:a "}), true),
        ("array", json!({"scope": ["openid", "read:a"]}), true),
        ("prefix of a word", json!({"scope": "read:admin"}), false),
        ("suffix of a word", json!({"scope": "thread:a"}), false),
        ("upper case", json!({"scope": "READ:A"}), false),
        ("comma", json!({"scope": "read:a,write:a"}), false),
        ("tab", json!({"scope": "read:a\twrite:a"}), false),
        ("no-break space", json!({"scope": "openid\u{a0}read:a"}), false),
        ("array with another type", json!({"scope": ["read:a", 1]}), false),
        ("array of arrays", json!({"scope": [["read:a"]]}), false),
        ("words in an array", json!({"scope": ["openid read:a"]}), false),
        ("object", json!({"scope": {"read:a": true}}), false),
        ("number", json!({"scope": 1}), false),
        ("true", json!({"scope": true}), false),
        ("null", json!({"scope": null}), false),
        ("empty", json!({"scope": ""}), false),
        ("absent", json!({}), false),
        ("another claim", json!({"scp": "read:a", "SCOPE": "read:a", "permissions": ["read:a"]}), false),
    ];
    run(&one, &rows);
    run(&Line::AnyScope(words(&["read:a"])), &rows);
}

#[test]
fn all_scopes_or_any_of_them() {
    let both = words(&["read:a", "write:a"]);
    let (one_held, both_held) = (json!({"scope": "x write:a"}), json!({"scope": "write:a x read:a"}));
    run(
        &Line::AllScopes(both.clone()),
        &[("one", one_held.clone(), false), ("both", both_held.clone(), true), ("none", json!({"scope": "x"}), false)],
    );
    run(&Line::AnyScope(both), &[("one", one_held, true), ("both", both_held, true), ("none", json!({"scope": "x"}), false)]);
}

#[test]
fn j82_permissions_are_an_array_of_strings_and_nothing_else() {
    let line = Line::Permissions(words(&["read:a", "write:a"]));
    let rows = [
        ("both", json!({"permissions": ["write:a", "x", "read:a"]}), true),
        ("one", json!({"permissions": ["read:a"]}), false),
        ("substring", json!({"permissions": ["read:admin", "write:a"]}), false),
        ("string", json!({"permissions": "read:a write:a"}), false),
        ("string that is all of it", json!({"permissions": "read:a"}), false),
        ("words in one element", json!({"permissions": ["read:a write:a"]}), false),
        ("another type among them", json!({"permissions": ["read:a", "write:a", null]}), false),
        ("object", json!({"permissions": {"read:a": 1, "write:a": 1}}), false),
        ("empty", json!({"permissions": []}), false),
        ("in scope instead", json!({"scope": "read:a write:a"}), false),
        ("absent", json!({}), false),
    ];
    run(&line, &rows);
}

#[test]
fn roles_are_found_by_one_literal_key_or_by_a_path() {
    let line = |claim| Line::Roles { claim, any_of: words(&["admin", "root"]) };
    let url = line(key("https://my.app/roles"));
    let rows = [
        ("array", json!({"https://my.app/roles": ["user", "admin"]}), true),
        ("string of words", json!({"https://my.app/roles": "user root"}), true),
        ("substring", json!({"https://my.app/roles": "administrator"}), false),
        ("substring in an array", json!({"https://my.app/roles": ["admin2"]}), false),
        ("role with a space", json!({"https://my.app/roles": ["admin user"]}), false),
        ("number among them", json!({"https://my.app/roles": ["admin", 0]}), false),
        ("true", json!({"https://my.app/roles": true}), false),
        ("split on dots", json!({"https://my": {"app/roles": ["admin"]}}), false),
        ("absent", json!({"roles": ["admin"]}), false),
    ];
    run(&url, &rows);
    let nested = line(path(&["realm_access", "roles"]));
    let rows = [
        ("at the path", json!({"realm_access": {"roles": ["admin"]}}), true),
        ("a key with a dot", json!({"realm_access.roles": ["admin"]}), false),
        ("at the top", json!({"roles": ["admin"]}), false),
        ("through an array", json!({"realm_access": [{"roles": ["admin"]}]}), false),
        ("through a string", json!({"realm_access": "roles"}), false),
    ];
    run(&nested, &rows);
    run(&line(path(&[])), &[("an empty path", json!({"": ["admin"], "roles": "admin"}), false)]);
}

#[test]
fn claims_are_equal_as_a_whole() {
    let line = |values: &[&str]| Line::Claim { claim: key("tier"), any_of: words(values) };
    let rows = [
        ("whole", json!({"tier": "gold"}), true),
        ("in an array", json!({"tier": ["silver", "gold"]}), true),
        ("one of several words", json!({"tier": "gold silver"}), false),
        ("substring", json!({"tier": "golden"}), false),
        ("in an array with another type", json!({"tier": ["gold", true]}), false),
        ("an object's key", json!({"tier": {"gold": true}}), false),
        ("nested arrays", json!({"tier": [["gold"]]}), false),
        ("null", json!({"tier": null}), false),
        ("absent", json!({}), false),
    ];
    run(&line(&["platinum", "gold"]), &rows);
    let texts = line(&["true", "7", "-7", "18446744073709551615", "1.5", "null", "[7]", "{}", "1e2", "100.0"]);
    let rows = [
        ("boolean", json!({"tier": true}), true),
        ("the other boolean", json!({"tier": false}), false),
        ("integer", json!({"tier": 7}), true),
        ("negative integer", json!({"tier": -7}), true),
        ("largest integer", json!({"tier": u64::MAX}), true),
        ("another integer", json!({"tier": 77}), false),
        ("string of an integer", json!({"tier": "7"}), true),
        ("fraction", json!({"tier": 1.5}), false),
        ("float of a whole number", json!({"tier": 100.0}), false),
        ("null", json!({"tier": null}), false),
        ("array of integers", json!({"tier": [7]}), false),
        ("array of booleans", json!({"tier": [true]}), false),
        ("object", json!({"tier": {}}), false),
    ];
    run(&texts, &rows);
}

/// A list that lost its entries must not open the line, save where it asks for all of nothing.
#[test]
fn any_of_nothing_is_never_held() {
    let everything = json!({"scope": "", "roles": [""], "tier": ""});
    for line in [
        Line::AnyScope(vec![]),
        Line::Roles { claim: key("roles"), any_of: vec![] },
        Line::Claim { claim: key("tier"), any_of: vec![] },
        Line::AllScopes(words(&[""])),
    ] {
        assert!(!holds(&line, everything.clone()), "{line:?}");
    }
    let _: Permit = Requirement::default().check(&Claims::unverified(json!({}))).expect("nothing is asked");
}

#[test]
fn the_first_line_that_fails_decides_and_names_what_was_missing() {
    let scopes = Line::AllScopes(words(&["read:a", "write:a"]));
    let any = Line::AnyScope(words(&["x", "y"]));
    let permissions = Line::Permissions(words(&["delete:a"]));
    let roles = Line::Roles { claim: key("roles"), any_of: words(&["admin"]) };
    let claim = Line::Claim { claim: key("tier"), any_of: words(&["gold"]) };
    let held = json!({"scope": "read:a write:a x", "permissions": ["delete:a"], "roles": ["admin"], "tier": "gold"});
    let rows = [
        ("scope", "scope", scopes.clone(), words(&["read:a", "write:a"])),
        ("scope", "scope", any.clone(), words(&["x", "y"])),
        ("permissions", "permission", permissions.clone(), words(&["delete:a"])),
        ("roles", "role", roles.clone(), vec![]),
        ("tier", "claim", claim.clone(), vec![]),
    ];
    let requirement = Requirement { lines: vec![scopes, any, permissions, roles, claim] };
    let check = |claims: &Value| requirement.check(&Claims::unverified(claims.clone())).map(drop);
    assert_eq!(check(&held), Ok(()));
    for (removed, reason, line, scope) in rows {
        let mut claims = held.clone();
        claims.as_object_mut().unwrap().remove(removed);
        let alone = Requirement { lines: vec![line] };
        assert_eq!(alone.check(&Claims::unverified(claims.clone())).unwrap_err(), Denied { reason, scope }, "{removed}");
        assert_eq!(check(&claims).unwrap_err().reason, reason, "{removed}");
    }
    assert_eq!(check(&json!({})).unwrap_err(), Denied { reason: "scope", scope: words(&["read:a", "write:a"]) });
}

proptest! {
    /// Whatever the claims hold, a word that is not among their strings is never found.
    #[test]
    fn a_word_that_is_nowhere_is_never_held(text in "[a-z :]{0,20}", items in prop::collection::vec("[a-z: ]{0,6}", 0..5), wanted in "[a-z]{1,3}") {
        let all = items.iter().flat_map(|item| item.split(' ')).chain(text.split(' ')).any(|word| word == wanted);
        for value in [json!(text), json!(items)] {
            let claims = json!({"scope": value, "permissions": value, "roles": value, "tier": value});
            let wanted = vec![wanted.clone()];
            let lines = [
                Line::AllScopes(wanted.clone()),
                Line::AnyScope(wanted.clone()),
                Line::Permissions(wanted.clone()),
                Line::Roles { claim: key("roles"), any_of: wanted.clone() },
                Line::Claim { claim: key("tier"), any_of: wanted },
            ];
            for line in lines {
                prop_assert!(all || !holds(&line, claims.clone()), "{:?} {}", line, claims);
            }
        }
    }
}
