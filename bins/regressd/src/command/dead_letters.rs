//! `dead-letters`: work that was given up.

use super::{CommandError, print_line};
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
            print_line(format_args!("{id} will be tried again"))
        }
        DeadLettersCommand::Retry { id: None } => {
            let letters = all(database).await?;
            let count = letters.len();
            for letter in letters {
                retry(database, letter).await?;
            }
            print_line(format_args!("{count} will be tried again"))
        }
        DeadLettersCommand::Drop { id } => {
            find(database, id).await?;
            database
                .run_in_transaction(move |connection| Box::pin(jobs::drop_dead(connection, id)))
                .await?;
            print_line(format_args!("{id} is dropped"))
        }
    }
}

async fn list(database: &Database) -> Result<(), CommandError> {
    let letters = all(database).await?;
    if letters.is_empty() {
        return print_line(format_args!("there are no dead letters"));
    }
    for letter in letters {
        let error = letter.error.unwrap_or_default();
        print_line(format_args!(
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
    print_line(format_args!("number       {}", letter.id))?;
    print_line(format_args!("kind         {}", letter.kind))?;
    print_line(format_args!("key          {}", letter.key))?;
    print_line(format_args!("enqueued     {}", letter.created))?;
    print_line(format_args!("attempts     {}", letter.attempts))?;
    print_line(format_args!("request      {}", letter.correlation))?;
    print_line(format_args!(
        "error        {}",
        letter.error.as_deref().unwrap_or("")
    ))?;
    print_line(format_args!("payload      {}", letter.payload))
}

async fn all(database: &Database) -> Result<Vec<QueuedJob>, DatabaseError> {
    let mut connection = database.acquire_reader().await?;
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
    let mut connection = database.acquire_reader().await?;
    let found = jobs::find_job(&mut connection, id)
        .await
        .map_err(CommandError::new)?;
    found.filter(|job| job.state == JobState::Dead).ok_or_else(|| {
        CommandError::new(format!(
            "there is no dead letter {id}; see regressd dead-letters list"
        ))
    })
}

async fn retry(database: &Database, letter: QueuedJob) -> Result<(), DatabaseError> {
    database
        .run_in_transaction(move |connection| {
            let letter = letter.clone();
            Box::pin(async move { jobs::requeue_dead_letter(connection, &letter).await })
        })
        .await?;
    Ok(())
}
