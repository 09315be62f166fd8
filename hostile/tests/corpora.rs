//! Each kept file is put through what it was kept for.

use resilee_hostile::TARGETS;
use std::path::PathBuf;

fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let files = std::fs::read_dir(&folder).expect("a folder for each target");
    let paths = files.map(|file| file.expect("a file").path());
    paths.map(|path| (path.clone(), std::fs::read(path).expect("a readable file"))).collect()
}

#[test]
fn what_is_kept_is_borne() {
    for (name, target) in TARGETS {
        let files = corpus(name);
        assert!(files.len() >= 4, "{name}: {} files", files.len());
        for (path, bytes) in files {
            println!("{}", path.display());
            target(&bytes);
        }
    }
}
