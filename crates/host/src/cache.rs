//! Compiled components on disk, so that only the first start compiles.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io::Write,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use sha2::{Digest, Sha256};
use wasmtime::{Engine, component::Component};

/// A folder of artifacts, named by the hash of the WebAssembly and of everything that shapes its compilation.
pub(crate) struct Cache {
    folder: PathBuf,
    engine: Engine,
    compatibility: u64,
}

impl Cache {
    /// Opens (and makes) `folder` for artifacts of `engine`. It is closed to other users, because what
    /// lies in it is run as native code.
    pub fn open(folder: PathBuf, engine: &Engine) -> std::io::Result<Self> {
        fs::create_dir_all(&folder)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))?;
        }
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Ok(Self {
            folder,
            engine: engine.clone(),
            compatibility: hasher.finish(),
        })
    }

    /// The component in `wasm`, from the cache or freshly compiled into it. The error is the compiler's.
    pub fn load(&self, wasm: &[u8]) -> wasmtime::Result<Component> {
        let name = format!(
            "{}-{:016x}.cwasm",
            hex::encode(Sha256::digest(wasm)),
            self.compatibility
        );
        let path = self.folder.join(name);
        if path.exists() {
            match self.deserialize(&path) {
                Ok(component) => return Ok(component),
                Err(e) => tracing::warn!("compiling anew, {} is not usable: {e:#}", path.display()),
            }
        }
        let compiled = self.engine.precompile_component(wasm)?;
        match self.store(&path, &compiled) {
            Ok(()) => self.deserialize(&path),
            Err(e) => {
                tracing::warn!(
                    "{} cannot be written, so the next start compiles again: {e}",
                    path.display()
                );
                Component::new(&self.engine, wasm)
            }
        }
    }

    /// Maps an artifact into memory.
    #[allow(unsafe_code)]
    fn deserialize(&self, path: &Path) -> wasmtime::Result<Component> {
        // SAFETY: the file was written by `store`, from this engine's own output, into a folder only this
        // user can write to; it replaced any older one whole, and nothing changes it afterwards. An
        // artifact of another version or configuration is told by its header and refused.
        unsafe { Component::deserialize_file(&self.engine, path) }
    }

    /// Writes an artifact so that a crash or a second host at the same moment never leaves half of one.
    fn store(&self, path: &Path, compiled: &[u8]) -> std::io::Result<()> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let temporary = path.with_extension(format!("{}-{count}.tmp", std::process::id()));
        let written = fs::File::create(&temporary).and_then(|mut file| {
            file.write_all(compiled)?;
            file.sync_all()
        });
        written
            .and_then(|()| fs::rename(&temporary, path))
            .inspect_err(|_| {
                // The failure that matters is reported; a left-over temporary file is harmless.
                let _ = fs::remove_file(&temporary);
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The smallest component: its magic number, version and layer, and nothing in it.
    const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

    #[test]
    fn a_damaged_artifact_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let engine = crate::engine::engine().unwrap();
        let cache = Cache::open(folder.path().join("cache"), &engine).unwrap();
        cache.load(COMPONENT).unwrap();
        let artifacts = || {
            fs::read_dir(folder.path().join("cache"))
                .unwrap()
                .map(|e| e.unwrap().path())
                .collect::<Vec<_>>()
        };
        let [artifact] = &artifacts()[..] else {
            panic!("one artifact, found {:?}", artifacts())
        };
        let good = fs::read(artifact).unwrap();
        for damaged in [&[][..], &good[..good.len() / 2], b"not an artifact"] {
            fs::write(artifact, damaged).unwrap();
            cache.load(COMPONENT).unwrap();
            assert_eq!(fs::read(artifact).unwrap(), good);
        }
        assert_eq!(artifacts().len(), 1);
    }

    #[test]
    fn what_is_no_component_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let engine = crate::engine::engine().unwrap();
        let cache = Cache::open(folder.path().into(), &engine).unwrap();
        assert!(cache.load(b"\0asm\x01\0\0\0").is_err());
        assert!(cache.load(b"").is_err());
    }
}
