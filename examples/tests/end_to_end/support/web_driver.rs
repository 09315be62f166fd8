//! The WebDriver protocol, as far as the browser's test needs it: chromedriver over plain HTTP.
//!
//! What is looked for in a page is the test's; here are only the protocol and its process.

use super::condition::{SOON, wait_until};
use super::ports::free_ports;
use super::process::Process;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// How long one answer may take; a browser's first page on a busy machine is slow.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// The field of an element's reference (WebDriver §12.1).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// One browser window, driven by a chromedriver of its own.
#[derive(Debug)]
pub struct WebDriver {
    agent: ureq::Agent,
    /// Address of the session; none before it began.
    session: Option<String>,
    _process: Process,
}

impl WebDriver {
    /// Starts chromedriver, and Chromium with `arguments`.
    #[track_caller]
    pub fn start(folder: &Path, arguments: &[String]) -> Self {
        let port = free_ports(1);
        let mut command = Command::new("chromedriver");
        command.arg(format!("--port={port}"));
        let mut process = Process::start("chromedriver", folder, &mut command);
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(ANSWER_WITHIN))
            .http_status_as_error(false)
            .build();
        let agent: ureq::Agent = config.into();
        let base = format!("http://127.0.0.1:{port}");
        wait_until("chromedriver is ready", SOON, || {
            assert!(process.is_running(), "chromedriver ended: {}", process.output());
            let status = agent.get(format!("{base}/status")).call();
            let status = status.and_then(|mut answer| answer.body_mut().read_json::<Value>());
            status.is_ok_and(|status| status["value"]["ready"] == true)
        });
        let mut driver = WebDriver { agent, session: None, _process: process };
        let options = json!({ "args": arguments });
        let capabilities = json!({ "alwaysMatch": { "goog:chromeOptions": options } });
        let asked = json!({ "capabilities": capabilities });
        let session = driver.post(&format!("{base}/session"), &asked);
        let session = session.unwrap_or_else(|error| panic!("no browser: {error}"));
        let id = session["sessionId"].as_str().expect("a session has an id");
        driver.session = Some(format!("{base}/session/{id}"));
        driver
    }

    /// Opens an address.
    #[track_caller]
    pub fn open(&self, address: &str) {
        let opened = self.post(&self.address("url"), &json!({ "url": address }));
        opened.unwrap_or_else(|error| panic!("{address}: {error}"));
    }

    /// The text of the first element that a CSS selector finds, as it is shown; `None` while
    /// there is none, or if it went away meanwhile.
    pub fn text(&self, selector: &str) -> Option<String> {
        let element = self.find(selector).ok()?;
        let text = self.get(&self.address(&format!("element/{element}/text"))).ok()?;
        text.as_str().map(str::to_owned)
    }

    /// Types into an element; what is typed into a field for files is the path of one.
    #[track_caller]
    pub fn type_into(&self, selector: &str, text: &str) {
        let typed = self.find(selector).and_then(|element| {
            self.post(&self.address(&format!("element/{element}/value")), &json!({ "text": text }))
        });
        typed.unwrap_or_else(|error| panic!("{selector}: {error}"));
    }

    fn find(&self, selector: &str) -> Result<String, String> {
        let asked = json!({ "using": "css selector", "value": selector });
        let found = self.post(&self.address("element"), &asked)?;
        found[ELEMENT].as_str().map(str::to_owned).ok_or_else(|| format!("no element: {found}"))
    }

    /// What a script in the page returns.
    #[track_caller]
    pub fn run(&self, script: &str) -> Value {
        let asked = json!({ "script": script, "args": [] });
        let answer = self.post(&self.address("execute/sync"), &asked);
        answer.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// Changes the size of the window, its frame included.
    #[track_caller]
    pub fn resize(&self, width: u32, height: u64) {
        let asked = json!({ "width": width, "height": height });
        let resized = self.post(&self.address("window/rect"), &asked);
        resized.unwrap_or_else(|error| panic!("{width} x {height}: {error}"));
    }

    /// The window as PNG, in base64.
    #[track_caller]
    pub fn screenshot(&self) -> String {
        let picture = self.get(&self.address("screenshot"));
        let picture = picture.unwrap_or_else(|error| panic!("no screenshot: {error}"));
        picture.as_str().expect("a screenshot is text").to_owned()
    }

    fn address(&self, path: &str) -> String {
        format!("{}/{path}", self.session.as_deref().expect("the session has begun"))
    }

    fn get(&self, address: &str) -> Result<Value, String> {
        value(self.agent.get(address).call())
    }

    fn post(&self, address: &str, body: &Value) -> Result<Value, String> {
        value(self.agent.post(address).send_json(body))
    }
}

impl Drop for WebDriver {
    fn drop(&mut self) {
        // Ends the browser, which chromedriver's own end would leave behind.
        if let Some(session) = &self.session {
            let ended = value(self.agent.delete(session).call());
            if let Err(error) = ended {
                println!("the browser was not ended: {error}");
            }
        }
    }
}

/// The value of an answer; an error is a value too (WebDriver §6.6).
fn value(answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<Value, String> {
    let mut answer = answer.map_err(|error| error.to_string())?;
    let is_good = answer.status().is_success();
    let body = answer.body_mut().with_config().limit(64 << 20).read_json::<Value>();
    let mut body = body.map_err(|error| error.to_string())?;
    let value = body["value"].take();
    if is_good { Ok(value) } else { Err(format!("{}: {}", value["error"], value["message"])) }
}
