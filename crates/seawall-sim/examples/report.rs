//! Writes what a ready-made scenario finds into a directory, in every form that there is.
use seawall_sim::{Ready, report};
use std::{env, fs, path::PathBuf};

fn main() -> std::io::Result<()> {
    let name = env::args().nth(1).unwrap_or_else(|| "retry-storm".to_owned());
    let to = PathBuf::from(env::args().nth(2).unwrap_or_else(|| ".".to_owned()));
    let ready = Ready::find(&name).expect("a ready-made scenario");
    let found = ready.study().seeds(3).run();
    fs::write(to.join("report.html"), report::html(&found))?;
    fs::write(to.join("report.svg"), report::svg(&found))?;
    fs::write(to.join("report.json"), report::json(&found))?;
    fs::write(to.join("report.csv"), report::csv(&found))?;
    fs::write(to.join("summary.csv"), report::csv_summary(&found))?;
    print!(
        "{}",
        report::terminal(
            &found,
            80,
            env::var_os("COLOUR").is_some(),
            env::var_os("ASCII").is_none()
        )
    );
    Ok(())
}
