//! Nodes that start from a store with units which they cannot compile or deploy any more.

use crate::node::{Client, DEADLINE, free_address, start_with, status};
use crate::units::{
    ALPHA, LINKED_ALPHA, LINKED_OMEGA, Linker, is_compiled, live, problem, upload, want,
};
use actix::System;
use resilee_runtime::{Runtime, RuntimeError, unit_id};
use resilee_sbb::{NotCompiled, UnitCompiler};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::time::timeout;

/// A node lives with a unit; its service is wanted like this, and has a call if it is active first.
fn lived(dir: &Path, address: SocketAddr, activate: &[&str], deactivate: &[&str]) {
    System::new().block_on(async {
        let (mut runtime, asker) = live(dir, address, &Arc::new(Linker::default())).await;
        let id = upload(&asker, "alpha", ALPHA).await;
        status(&asker, |status| is_compiled(status, &id)).await;
        if !activate.is_empty() {
            want(&asker, activate, &[]).await;
            let client = Client::new(address).await;
            assert_eq!(client.ask("c1 hello").await, "c1 hello");
        }
        if !deactivate.is_empty() {
            want(&asker, &[], deactivate).await;
        }
        runtime.drain();
        timeout(DEADLINE, runtime.drained()).await.expect("hands over").unwrap();
    });
}

async fn starts(
    dir: &Path,
    address: SocketAddr,
    refuses: Vec<NotCompiled>,
) -> Result<Runtime, RuntimeError> {
    let linker = Linker { refuses: refuses.into(), ..Linker::default() };
    start_with(dir, address, Vec::new(), Some(Arc::new(linker))).await
}

fn too_small() -> NotCompiled {
    NotCompiled::Lasting("it needs more memory: raise [limits] unit_memory_bytes_max".to_owned())
}

fn busy() -> NotCompiled {
    NotCompiled::Passing("it took too long".to_owned())
}

#[test]
fn a_node_that_cannot_compile_what_its_calls_depend_on_does_not_start() {
    for deactivate in [&[][..], &["alpha"]] {
        let dir = tempfile::tempdir().unwrap();
        let address = free_address();
        lived(dir.path(), address, &["alpha"], deactivate);
        System::new().block_on(async {
            let error = starts(dir.path(), address, vec![too_small()]).await.err();
            let text = error.expect("it must not start").to_string();
            let expected = format!(
                "the unit {} cannot be compiled here any more, and calls of this node's store \
                 depend on its service alpha: it needs more memory: raise [limits] \
                 unit_memory_bytes_max; start it as it was",
                unit_id(ALPHA)
            );
            assert!(text.starts_with(&expected), "{text}");
        });
        // With what it was told before it goes on.
        System::new().block_on(async {
            let runtime = starts(dir.path(), address, Vec::new()).await.expect("it starts");
            let asker = runtime.asker();
            status(&asker, |status| status.member).await;
            let client = Client::new(address).await;
            assert_eq!(client.ask("c1 again").await, "c1 again");
            let status = status(&asker, |_| true).await;
            let alpha = status.services.iter().find(|it| it.name == "alpha").expect("deployed");
            assert_eq!(alpha.delivered, 1);
        });
    }
}

#[test]
fn a_unit_that_serves_nothing_keeps_no_node_from_starting() {
    let dir = tempfile::tempdir().unwrap();
    let address = free_address();
    lived(dir.path(), address, &[], &[]);
    System::new().block_on(async {
        let refuses = vec![too_small(); 2];
        let runtime = starts(dir.path(), address, refuses).await.expect("it starts");
        let problem = problem(&runtime.asker(), &unit_id(ALPHA)).await;
        assert!(problem.contains("raise [limits] unit_memory_bytes_max"), "{problem}");
    });
}

/// It compiles; but the node has other services than it had.
#[test]
fn a_node_that_cannot_deploy_what_its_calls_depend_on_does_not_start() {
    let needs = "it needs omega, which is not deployed here";
    let taken = "there is a service or unit alpha already";
    let cases = [
        ("needy", vec![LINKED_OMEGA], Vec::new(), needs),
        ("alpha", Vec::new(), vec![LINKED_ALPHA], taken),
    ];
    for (service, before, then, reason) in cases {
        let dir = tempfile::tempdir().unwrap();
        let address = free_address();
        let bytes = format!("linked:{service}").into_bytes();
        let start = |services| {
            let compiler = Some(Arc::new(Linker::default()) as Arc<dyn UnitCompiler>);
            start_with(dir.path(), address, services, compiler)
        };
        System::new().block_on(async {
            let mut runtime = start(before.clone()).await.expect("it starts");
            let asker = runtime.asker();
            status(&asker, |status| status.member).await;
            let id = upload(&asker, service, &bytes).await;
            status(&asker, |status| is_compiled(status, &id)).await;
            want(&asker, &[service], &[]).await;
            runtime.drain();
            timeout(DEADLINE, runtime.drained()).await.expect("hands over").unwrap();
        });
        System::new().block_on(async {
            let error = start(then).await.err();
            let text = error.expect("it must not start").to_string();
            let expected = format!(
                "the unit {} cannot be deployed here any more, and calls of this node's store \
                 depend on its service {service}: {reason}; start it as it was",
                unit_id(&bytes)
            );
            assert!(text.starts_with(&expected), "{text}");
        });
        System::new().block_on(async {
            let runtime = start(before).await.expect("it starts");
            status(&runtime.asker(), |status| is_compiled(status, &unit_id(&bytes))).await;
        });
    }
}

#[test]
fn a_node_that_starts_tries_three_times_what_may_pass() {
    let dir = tempfile::tempdir().unwrap();
    let address = free_address();
    lived(dir.path(), address, &["alpha"], &[]);
    System::new().block_on(async {
        let error = starts(dir.path(), address, vec![busy(); 3]).await.err();
        let text = error.expect("it must not start").to_string();
        assert!(text.contains("it took too long"), "{text}");
    });
    System::new().block_on(async {
        starts(dir.path(), address, vec![busy(); 2]).await.expect("it starts");
    });
}
