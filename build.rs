//! The migrations are embedded: a new one must be seen by the next build.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
