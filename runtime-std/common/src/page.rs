//! The files of the page, compiled in: a server is one file.

/// A file of the page.
#[derive(Debug, Clone, Copy)]
pub struct File {
    /// Value of its `Content-Type`.
    pub content_type: &'static str,
    /// What is in it.
    pub content: &'static str,
}

/// Fields that go with every file. The page loads nothing from elsewhere, and nobody may frame it: it asks for a camera.
pub const HEADERS: [(&str, &str); 5] = [
    ("cache-control", "no-cache"),
    (
        "content-security-policy",
        "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data: blob:; media-src 'self' blob:; \
         object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("permissions-policy", "camera=(self), microphone=(self), display-capture=(self)"),
];

/// A file by name, as `sansfu::server::edge::FILES` lists them.
pub fn file(name: &str) -> Option<File> {
    macro_rules! files {
        ($($name:literal),* $(,)?) => {
            match name {
                $($name => include_str!(concat!("../../../runtime-smol/web/", $name)),)*
                _ => return None,
            }
        };
    }
    let content = files!(
        "index.html",
        "app.js",
        "devices.js",
        "level.js",
        "link.js",
        "lobby.js",
        "meeting.js",
        "notices.js",
        "session.js",
        "signaling.js",
        "stats.js",
        "style.css",
        "tiles.js",
    );
    let content_type = match name.rsplit_once('.') {
        Some((_, "html")) => "text/html; charset=utf-8",
        Some((_, "css")) => "text/css; charset=utf-8",
        Some((_, "js")) => "text/javascript; charset=utf-8",
        _ => "application/octet-stream",
    };
    Some(File { content_type, content })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_that_can_be_asked_for_is_there() {
        for name in sansfu::server::edge::FILES {
            let file = file(name).unwrap_or_else(|| panic!("{name}"));
            assert!(!file.content.is_empty(), "{name}");
            assert!(file.content_type.starts_with("text/"), "{name}");
        }
        assert!(file("../Cargo.toml").is_none());
    }
}
