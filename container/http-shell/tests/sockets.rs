//! The shell with real sockets on loopback: what it does by itself, and what it tells the adaptor.

use resilee_http_api::{Call, FailureReason, HttpResponse};
use resilee_http_ra::{FromShell, ToShell, Token};
use resilee_http_shell::{HttpShell, ShellConfig};
use resilee_sbb::{ActivityId, CellId, CohortId};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

const ACTIVITY: ActivityId =
    ActivityId { cell: CellId { cohort: CohortId(1), number: 2 }, number: 3 };
const SHELL: u64 = 77;

struct Site {
    shell: HttpShell,
    address: SocketAddr,
    told: mpsc::UnboundedReceiver<FromShell>,
}

impl Site {
    fn start() -> Self {
        let shell = HttpShell::new(ShellConfig {
            number: SHELL,
            requests_max: 1,
            request_timeout: Duration::from_millis(300),
            body_bytes_max: 10,
            ca_file: None,
        });
        let shell = shell.expect("no certificates are read");
        let (tell, told) = mpsc::unbounded_channel();
        shell.connect(move |message| tell.send(message).expect("the test listens"));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("it listens");
        let serving = shell.clone();
        actix_web::rt::spawn(async move { serving.serve(listener).await });
        Site { shell, address, told }
    }

    async fn next(&mut self) -> FromShell {
        self.told.recv().await.expect("the shell lives")
    }

    async fn next_token(&mut self) -> Token {
        match self.next().await {
            FromShell::Request { token, .. } => token,
            other => panic!("{other:?}"),
        }
    }

    fn respond(&self, token: Token, status: u16) {
        let response = HttpResponse { status, body: b"hi".to_vec(), ..HttpResponse::default() };
        self.shell.carry_out(ToShell::Respond { token, response });
    }
}

/// Status of the answer to a POST with this body.
async fn post(address: SocketAddr, body: &'static str) -> u16 {
    let post = move || {
        let config = ureq::Agent::config_builder().http_status_as_error(false);
        let agent = config.build().new_agent();
        agent.post(format!("http://{address}/hooks/a?b=c")).send(body)
    };
    spawn_blocking(post).await.expect("no panic").expect("an answer").status().as_u16()
}

#[actix_web::test]
async fn a_request_waits_for_its_answer() {
    let mut site = Site::start();
    let client = actix_web::rt::spawn(post(site.address, "hello"));
    let FromShell::Request { token, request } = site.next().await else { panic!("a request") };
    assert_eq!((request.method.as_str(), request.hook()), ("POST", "a"));
    assert_eq!((request.query.as_str(), request.body.as_slice()), ("b=c", &b"hello"[..]));
    site.respond(Token { shell: 1, ..token }, 200);
    site.respond(token, 201);
    assert_eq!(client.await.expect("no panic"), 201, "the other one is of another node");
}

#[actix_web::test]
async fn one_more_than_may_wait_is_told_to_come_again() {
    let mut site = Site::start();
    let client = actix_web::rt::spawn(post(site.address, "hello"));
    let token = site.next_token().await;
    assert_eq!(post(site.address, "hello").await, 503);
    site.respond(token, 200);
    assert_eq!(client.await.expect("no panic"), 200);
    assert!(site.told.try_recv().is_err(), "the node has not heard of the second one");
}

#[actix_web::test]
async fn a_body_that_is_too_large_is_not_read() {
    let mut site = Site::start();
    assert_eq!(post(site.address, "hello hello hello").await, 413);
    assert!(site.told.try_recv().is_err());
}

#[actix_web::test]
async fn a_node_that_does_not_answer_is_a_504_and_hears_that_nobody_waits() {
    let mut site = Site::start();
    assert_eq!(post(site.address, "hello").await, 504);
    let token = site.next_token().await;
    assert_eq!(site.next().await, FromShell::Gone { token });
}

/// A server that says this to one request.
fn answers(text: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it listens");
    std::thread::spawn(move || {
        let (mut connection, _): (TcpStream, _) = listener.accept().expect("a client");
        let read = connection.read(&mut [0; 4_096]).expect("a request");
        assert!(read > 0);
        connection.write_all(text.as_bytes()).expect("it waits");
    });
    address
}

fn call(address: SocketAddr) -> ToShell {
    let (idempotency_key, timeout_ms) = ("k".to_owned(), 300);
    let call = Call::post_json(&format!("http://{address}/"), "{}");
    ToShell::Call { activity: ACTIVITY, call: Call { idempotency_key, timeout_ms, ..call } }
}

#[actix_web::test]
async fn what_a_call_is_answered_is_told_also_an_error_and_a_redirect() {
    for (text, status) in [
        ("HTTP/1.1 500 No\r\ncontent-length: 2\r\n\r\nno", 500),
        ("HTTP/1.1 302 There\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n", 302),
    ] {
        let mut site = Site::start();
        site.shell.carry_out(call(answers(text)));
        match site.next().await {
            FromShell::Answered { activity: ACTIVITY, response } => {
                assert_eq!(response.status, status);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[actix_web::test]
async fn a_call_fails_for_a_reason() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let nobody = {
        let gone = TcpListener::bind("127.0.0.1:0").expect("a port");
        gone.local_addr().expect("it listened")
    };
    let large = answers("HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n01234567890123456789");
    for (address, wanted) in [
        (silent.local_addr().expect("it listens"), FailureReason::TimedOut),
        (nobody, FailureReason::Unreachable),
        (large, FailureReason::TooLarge),
    ] {
        let mut site = Site::start();
        site.shell.carry_out(call(address));
        match site.next().await {
            FromShell::Failed { activity: ACTIVITY, reason, .. } => assert_eq!(reason, wanted),
            other => panic!("{other:?}"),
        }
    }
}

#[actix_web::test]
async fn a_call_that_is_under_way_is_not_made_a_second_time() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut site = Site::start();
    let address = silent.local_addr().expect("it listens");
    site.shell.carry_out(call(address));
    site.shell.carry_out(call(address));
    assert!(matches!(site.next().await, FromShell::Failed { .. }));
    site.shell.carry_out(call(address));
    assert!(matches!(site.next().await, FromShell::Failed { .. }), "it was over by then");
    assert!(site.told.try_recv().is_err(), "one answer for each");
}
