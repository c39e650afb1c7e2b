//! `dead-letters`: work that was given up.

use super::{CommandError, say};
use crate::args::DeadLettersCommand;
use crate::database::jobs::{self, QueuedJob};
use crate::database::{Database, DatabaseError};
use crate::domain::JobState;

/// Letters read at once.
const PAGE: u32 = 500;

pub(super) async fn run(database: &Database, command: &DeadLettersCommand) -> Result<(), CommandError> {
    match *command {
        DeadLettersCommand::List => list(database).await,
        DeadLettersCommand::Show { id } => show(&find(database, id).await?),
        DeadLettersCommand::Retry { id: Some(id) } => {
            retry(database, find(database, id).await?).await?;
            say(format_args!("{id} will be tried again"))
        }
        DeadLettersCommand::Retry { id: None } => {
            let letters = all(database).await?;
            let count = letters.len();
            for letter in letters {
                retry(database, letter).await?;
            }
            say(format_args!("{count} will be tried again"))
        }
        DeadLettersCommand::Drop { id } => {
            find(database, id).await?;
            database
                .write(move |connection| Box::pin(jobs::drop_dead(connection, id)))
                .await?;
            say(format_args!("{id} is dropped"))
        }
    }
}

async fn list(database: &Database) -> Result<(), CommandError> {
    let letters = all(database).await?;
    if letters.is_empty() {
        return say(format_args!("there are no dead letters"));
    }
    for letter in letters {
        let error = letter.error.unwrap_or_default();
        say(format_args!(
            "{:>8}  {:<8} {}  {} attempts: {error}",
            letter.id,
            letter.kind.as_str(),
            letter.created,
            letter.attempts
        ))?;
    }
    Ok(())
}

fn show(letter: &QueuedJob) -> Result<(), CommandError> {
    say(format_args!("number       {}", letter.id))?;
    say(format_args!("kind         {}", letter.kind))?;
    say(format_args!("key          {}", letter.key))?;
    say(format_args!("enqueued     {}", letter.created))?;
    say(format_args!("attempts     {}", letter.attempts))?;
    say(format_args!("request      {}", letter.correlation))?;
    say(format_args!(
        "error        {}",
        letter.error.as_deref().unwrap_or("")
    ))?;
    say(format_args!("payload      {}", letter.payload))
}

async fn all(database: &Database) -> Result<Vec<QueuedJob>, DatabaseError> {
    let mut connection = database.read().await?;
    let mut letters: Vec<QueuedJob> = Vec::new();
    loop {
        let after = letters.last().map_or(0, |letter| letter.id);
        let page = jobs::dead_letters(&mut connection, after, PAGE).await?;
        if page.is_empty() {
            return Ok(letters);
        }
        letters.extend(page);
    }
}

async fn find(database: &Database, id: i64) -> Result<QueuedJob, CommandError> {
    let mut connection = database.read().await?;
    let found = jobs::find(&mut connection, id).await.map_err(CommandError::new)?;
    found.filter(|job| job.state == JobState::Dead).ok_or_else(|| {
        CommandError::new(format!(
            "there is no dead letter {id}; see regressd dead-letters list"
        ))
    })
}

async fn retry(database: &Database, letter: QueuedJob) -> Result<(), DatabaseError> {
    database
        .write(move |connection| {
            let letter = letter.clone();
            Box::pin(async move { jobs::requeue(connection, &letter).await })
        })
        .await?;
    Ok(())
}
