//! Chromium without a screen, looking at the admin UI.

use super::condition::{SOON, wait_for};
use super::web_driver::WebDriver;
use std::cell::RefCell;
use std::env;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// Where pictures go, if they are wanted.
const PICTURES: &str = "RESILEE_SCREENSHOTS";

/// Width of the window.
const WIDTH: u32 = 1280;

/// Height of a new window; for a picture it becomes the page's.
const HEIGHT: u32 = 800;

/// See the module. It ends when it is dropped.
#[derive(Debug)]
pub struct Browser {
    driver: WebDriver,
    pictures: Option<PathBuf>,
}

impl Browser {
    /// Starts a browser with a profile of its own.
    #[track_caller]
    pub fn start(folder: &Path) -> Self {
        let profile = folder.join("chromium");
        fs::create_dir(&profile).expect("a folder for the browser");
        let mut arguments: Vec<String> = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
        ]
        .map(str::to_owned)
        .into();
        arguments.push(format!("--window-size={WIDTH},{HEIGHT}"));
        arguments.push(format!("--user-data-dir={}", profile.display()));
        let pictures = env::var_os(PICTURES).map(PathBuf::from);
        if let Some(folder) = &pictures {
            fs::create_dir_all(folder).unwrap_or_else(|error| panic!("{PICTURES}: {error}"));
        }
        Browser { driver: WebDriver::start(folder, &arguments), pictures }
    }

    /// Opens a page and leaves a mark in it, which does not outlive a reload.
    #[track_caller]
    pub fn open(&self, address: &str) {
        self.driver.open(address);
        self.driver.run("window.hasNotBeenReloaded = true");
    }

    /// False if the page was loaded again since [`Self::open`].
    #[track_caller]
    pub fn is_same_page(&self) -> bool {
        self.driver.run("return window.hasNotBeenReloaded === true") == true
    }

    /// The text of an element, once it is there and one that will do.
    #[track_caller]
    pub fn wait_for_text(&self, selector: &str, will_do: impl Fn(&str) -> bool) -> String {
        let seen = RefCell::new(None);
        let what =
            fmt::from_fn(|f| write!(f, "{selector} has the right text, not {:?}", seen.borrow()));
        wait_for(what, SOON, || {
            let text = self.driver.text(selector);
            seen.replace(text.clone());
            text.filter(|text| will_do(text))
        })
    }

    /// Does in the page what a script says.
    #[track_caller]
    pub fn act(&self, script: &str) {
        self.driver.run(script);
    }

    /// Types a text into a field, instead of what is there.
    #[track_caller]
    pub fn fill(&self, selector: &str, text: &str) {
        let script = format!("document.querySelector({selector:?}).value = {text:?}");
        self.driver.run(&script);
    }

    /// Chooses a file in a field for files.
    #[track_caller]
    pub fn choose_file(&self, selector: &str, file: &Path) {
        self.driver.type_into(selector, file.to_str().expect("a name as text"));
    }

    /// Presses a button.
    #[track_caller]
    pub fn click(&self, selector: &str) {
        self.driver.run(&format!("document.querySelector({selector:?}).click()"));
    }

    /// Saves a picture of the whole page as `NAME.png` where the operator wants pictures.
    #[track_caller]
    pub fn picture(&self, name: &str) {
        let Some(folder) = &self.pictures else { return };
        let file = folder.join(format!("{name}.png"));
        let page = "return document.body.scrollHeight + outerHeight - innerHeight";
        let height = self.driver.run(page).as_u64().expect("a page has a height");
        self.driver.resize(WIDTH, height);
        let picture = from_base64(&self.driver.screenshot());
        fs::write(&file, picture).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        println!("saved {}", file.display());
    }
}

/// RFC 4648 §4.
fn from_base64(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0u32, 0);
    for digit in text.bytes().filter(|byte| *byte != b'=') {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => panic!("{digit:#x} is no digit of base64"),
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    bytes
}
