//! The frame of a story: its command line, its folder and ports, the processes that may die in the
//! middle, the sum of its checks, and what is left when it is over.

use crate::cluster::Cluster;
use crate::ports::Ports;
use crate::role::Role;
use crate::setting::Setting;
use crate::stage::Stage;
use anyhow::Context;
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// How a story is played.
#[derive(Debug, Args)]
pub struct PlayOptions {
    /// End after the story: exit code 0 only if every check held.
    #[arg(long)]
    once: bool,
    /// UDP port that the phones see; the next six are used inside the cluster.
    #[arg(long, default_value_t = 5060)]
    sip_port: u16,
    /// Port of server1's admin UI; server2 takes the next.
    #[arg(long, default_value_t = 8081)]
    http_port: u16,
    /// Folder for configuration, stores and logs; a fresh temporary one if not given.
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// What this process is, when the example started it.
    #[arg(long, hide = true, requires = "config")]
    role: Option<Role>,
    /// Its configuration.
    #[arg(long, hide = true)]
    config: Option<PathBuf>,
}

/// What is to be played.
#[derive(Clone, Copy, Debug)]
pub struct Play {
    /// The example's name.
    pub example: &'static str,
    /// Its processes.
    pub setting: Setting,
    /// What it is about, as the reader sees it.
    pub title: &'static str,
    /// What the reader may do when all stays up.
    pub afterwards: &'static str,
}

impl Play {
    /// Plays the story that `tell` tells, or is one of its processes. The exit code is 0 if every
    /// check held.
    pub fn run(
        self,
        options: PlayOptions,
        tell: impl AsyncFnOnce(&mut Stage) -> anyhow::Result<()>,
    ) -> ExitCode {
        let result = match (options.role, &options.config) {
            (Some(role), Some(config)) => role.run(config),
            _ => self.play_on_this_thread(options, tell),
        };
        match result {
            Ok(code) => code,
            Err(error) => {
                eprintln!("error: {error:#}");
                ExitCode::FAILURE
            }
        }
    }

    fn play_on_this_thread(
        self,
        options: PlayOptions,
        tell: impl AsyncFnOnce(&mut Stage) -> anyhow::Result<()>,
    ) -> anyhow::Result<ExitCode> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .context("cannot start the runtime")?;
        // The story runs on this thread: children are tied to the thread that started them.
        runtime.block_on(self.play(options, tell))
    }

    async fn play(
        self,
        options: PlayOptions,
        tell: impl AsyncFnOnce(&mut Stage) -> anyhow::Result<()>,
    ) -> anyhow::Result<ExitCode> {
        let ports = Ports::new(self.setting.entry, options.sip_port, options.http_port)?;
        let is_fresh = options.data_dir.is_none();
        let folder = options.data_dir.unwrap_or_else(|| self.fresh_folder());
        if is_fresh {
            // First, so that no empty folder is left behind.
            ports.check()?;
        }
        let (cluster, mut deaths) = Cluster::take(&folder, self.setting)?;
        ports.check()?;
        cluster.write_files(ports)?;
        let mut stage = Stage::set(cluster, ports).await?;
        let folder = stage.cluster.folder().to_owned();
        stage.report.title(format!("{}; files and logs in {}\n", self.title, folder.display()));
        let told = tokio::select! {
            told = tell(&mut stage) => told,
            Some(death) = deaths.recv() => Err(anyhow::anyhow!(death)),
            () = interrupted() => Err(anyhow::anyhow!("interrupted")),
        };
        stage.report.stop();
        if let Err(error) = told {
            stage.report.check("the step runs to its end", false, format!("{error:#}"));
        }
        let all_held = stage.sum_up();
        if all_held && !options.once {
            stage.stay_up(self.afterwards);
            // The reader may kill what he likes.
            let tell_deaths = async {
                while let Some(death) = deaths.recv().await {
                    println!("{death}");
                }
            };
            tokio::select! {
                () = tell_deaths => {}
                () = interrupted() => {}
            }
        }
        // A story that broke off has nothing to say about an orderly end: its processes are killed.
        let stuck = if all_held { stage.cluster.shut_down() } else { Vec::new() };
        if !stuck.is_empty() {
            println!("SIGTERM did not end with exit code 0: {}", stuck.join(", "));
        }
        if is_fresh && all_held {
            std::fs::remove_dir_all(&folder).context("cannot remove the temporary folder")?;
        }
        Ok(if all_held && stuck.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn fresh_folder(self) -> PathBuf {
        std::env::temp_dir().join(format!("{}-{}", self.example, std::process::id()))
    }
}

/// Waits for Ctrl-C or SIGTERM.
async fn interrupted() {
    let Ok(mut terminated) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminated.recv() => {}
    }
}
