//! The configuration: what is shipped is valid, and what is wrong is refused before a request is taken, with the place.

use std::os::unix::fs::symlink;
use std::process::Command;

use e2e::stack::{Edit, EnvoyProcess, EnvoySpec, StackError, Workdir, render, repository};

use super::plan;

const TOKEN_ENV: &str = "SWITCHYARD_CACHE_TOKEN";

/// Starts Envoy alone with the shipped configuration, edited; what its log says when it does not start.
async fn refusal(edit: Option<Edit>, token: Option<&str>) -> Result<(), String> {
    let (dir, artefacts) = (Workdir::new().unwrap(), plan().artefacts);
    let template = std::fs::read_to_string(artefacts.envoy_yaml).unwrap();
    let ports = ["PROXY_PORT", "ENVOY_ADMIN_PORT"].map(|name| (name, "0".to_owned()));
    let filter = ("FILTER_WASM", artefacts.filter_wasm.display().to_string());
    let values: Vec<_> = ports.into_iter().chain([filter]).collect();
    let spec = EnvoySpec {
        name: "envoy".to_owned(),
        program: artefacts.envoy,
        config: render(&template, &values, edit.as_slice()).unwrap(),
        workers: 2,
        secret_env: token.map(|token| (TOKEN_ENV.to_owned(), token.to_owned())).into_iter().collect(),
    };
    match EnvoyProcess::start(spec, dir.path()).await {
        Ok(_) => Ok(()),
        Err(StackError::NotReady { why, .. }) => {
            assert!(why.contains("exit status: 1"), "Envoy did not end by itself: {why}");
            Err(std::fs::read_to_string(dir.path().join("envoy.log")).unwrap())
        }
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_wrong_configuration_is_refused_with_its_place() {
    let weight = r#"{"name": "acquirer-b", "profile": "sample", "weight": "#;
    let token = Some("token");
    let cases = [
        (Some(Edit::new(format!("{weight}2"), format!("{weight}0"))), token, "routing.processors[1].weight: 0 "),
        (Some(Edit::new(r#""tenant": {"#, r#""tenat": {"#)), token, "tenat"),
        (Some(Edit::new(r#""default": {"#, r#""default": {"unheard_of": 1, "#)), token, "routing.default"),
        (Some(Edit::new(r#""token_env": "#, r#""unheard_of": 1, "token_env": "#)), token, "unheard_of"),
        (None, None, "cache_service.token_env: "),
        (None, Some(""), "cache_service.token_env: "),
    ];
    for (edit, token, place) in cases {
        let Err(log) = refusal(edit.clone(), token).await else { panic!("Envoy started with {edit:?}") };
        let refused = "configuration refused: ";
        let line = log.lines().find(|line| line.contains(refused)).unwrap_or_else(|| panic!("{edit:?}: {log}"));
        assert!(line.contains(place), "{edit:?}: {line}");
    }
    assert_eq!(refusal(None, token).await, Ok(()), "what was edited starts as it stands");
}

#[test]
fn the_shipped_file_is_valid_as_it_stands() {
    let (dir, artefacts) = (Workdir::new().unwrap(), plan().artefacts);
    // The file names the filter by where the build puts it.
    let built = dir.path().join("target/wasm");
    std::fs::create_dir_all(&built).unwrap();
    symlink(&artefacts.filter_wasm, built.join("filter.wasm")).unwrap();
    let mut command = Command::new(artefacts.envoy);
    command.args(["--mode", "validate", "-c"]).arg(repository().join("envoy/envoy.yaml"));
    let output = command.env(TOKEN_ENV, "token").current_dir(dir.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
