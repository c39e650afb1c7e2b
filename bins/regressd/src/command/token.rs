//! `token`: makes, lists and revokes access tokens.

use std::time::Duration;

use super::{CommandError, print_line};
use crate::args::TokenCommand;
use crate::auth::issue_token;
use crate::database::tokens;
use crate::database::{Database, audit};
use crate::domain::{Grant, Role, UnixMillis};

const DAY: Duration = Duration::from_secs(86_400);

pub(super) async fn run(database: &Database, command: &TokenCommand) -> Result<(), CommandError> {
    match command {
        TokenCommand::Create {
            repository,
            role,
            name,
            expires,
        } => create(database, repository, *role, name, *expires).await,
        TokenCommand::List => list(database).await,
        TokenCommand::Revoke { id } => revoke(database, id).await,
    }
}

async fn create(
    database: &Database,
    repository: &str,
    role: Role,
    name: &str,
    expires: Option<u32>,
) -> Result<(), CommandError> {
    let grant: Grant = repository.parse().map_err(CommandError::new)?;
    let expires = expires.map(|days| DAY * days);
    let secret = issue_token(database, grant, role, name, expires, &operator()).await?;
    print_line(format_args!("{secret}"))?;
    eprintln!("This token is not stored and will not be shown again.");
    Ok(())
}

async fn list(database: &Database) -> Result<(), CommandError> {
    let mut connection = database.acquire_reader().await?;
    let now = UnixMillis::now();
    print_line(format_args!(
        "{:<14} {:<7} {:<30} {:<8} {:<24} name",
        "id", "role", "repository", "state", "created"
    ))?;
    for token in tokens::list_tokens(&mut connection).await? {
        let state = match (token.revoked, token.expires) {
            (Some(_), _) => "revoked",
            (None, Some(at)) if at <= now => "expired",
            _ => "valid",
        };
        let created = token.created.to_string();
        print_line(format_args!(
            "{:<14} {:<7} {:<30} {state:<8} {created:<24} {}",
            token.id,
            token.role.as_str(),
            token.grant.to_string(),
            token.name
        ))?;
    }
    Ok(())
}

async fn revoke(database: &Database, id: &str) -> Result<(), CommandError> {
    let wanted = id.to_owned();
    let revoked = database.run_in_transaction(move |connection| {
        let id = wanted.clone();
        Box::pin(async move {
            let revoked = tokens::revoke_token(connection, &id).await?;
            if revoked {
                audit::insert_audit_entry(connection, &operator(), "token.revoke", &id, "{}").await?;
            }
            Ok(revoked)
        })
    });
    if revoked.await? {
        print_line(format_args!(
            "{id} is revoked; running services refuse it within two seconds"
        ))
    } else {
        let hint = "see regressd token list";
        Err(CommandError::new(format!(
            "there is no valid token with the id {id:?}; {hint}"
        )))
    }
}

/// Who works on this machine, for the audit log.
fn operator() -> String {
    let user = std::env::var("SUDO_USER").or_else(|_| std::env::var("USER"));
    format!("operator:{}", user.unwrap_or_else(|_| "unknown".to_owned()))
}
