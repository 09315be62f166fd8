//! The operator of the story: each order is the one that `resilee ctl` carries out, with the text
//! that it would print.

use anyhow::Context;
use resilee_node::{Console, Token, UnitOrder};
use std::path::{Path, PathBuf};

/// Where the operator works: what he types depends on it.
#[derive(Clone, Debug)]
pub struct Operator {
    /// The server that is asked.
    pub admin: String,
    /// The token that orders need.
    pub token_file: PathBuf,
}

/// How a unit is deployed.
#[derive(Clone, Copy, Debug)]
pub enum Deploys<'a> {
    /// Beside nothing.
    Activated,
    /// In the place of another service, which finishes what it began.
    InPlaceOf(&'a str),
}

impl Operator {
    /// Deploys the unit of a file; what was typed, and what came of it.
    pub async fn deploy(&self, file: &Path, how: Deploys<'_>) -> anyhow::Result<String> {
        let (activate, replace) = match how {
            Deploys::Activated => (true, Vec::new()),
            Deploys::InPlaceOf(old) => (false, vec![old.to_owned()]),
        };
        let option = match how {
            Deploys::Activated => "--activate".to_owned(),
            Deploys::InPlaceOf(old) => format!("--replace {old}"),
        };
        let name = file.file_name().unwrap_or_default().display();
        let typed = format!("deploy {name} {option} --yes");
        let (file, token) = (file.to_owned(), self.token());
        self.give(typed, UnitOrder::Deploy { file, activate, replace, yes: true, token }).await
    }

    /// Removes a unit that nothing needs any more.
    pub async fn undeploy(&self, service: &str) -> anyhow::Result<String> {
        let (unit, token) = (service.to_owned(), self.token());
        self.give(format!("undeploy {service}"), UnitOrder::Undeploy { unit, token }).await
    }

    fn token(&self) -> Token {
        Token { token_file: self.token_file.clone() }
    }

    async fn give(&self, typed: String, order: UnitOrder) -> anyhow::Result<String> {
        let admin = self.admin.clone();
        let typed = format!("$ resilee ctl {typed} --admin {admin} --token-file admin.token");
        let carry_out = move || {
            let mut output = Vec::new();
            let (input, is_terminal) = (&mut std::io::empty(), false);
            let mut console = Console { input, output: &mut output, is_terminal };
            resilee_node::unit(&admin, &order, &mut console).map(|()| output)
        };
        let said = tokio::task::spawn_blocking(carry_out).await?.with_context(|| typed.clone())?;
        Ok(format!("{typed}\n{}", String::from_utf8_lossy(&said)))
    }
}
