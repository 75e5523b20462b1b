//! The command line: one binary, a file for each noun or verb.

mod audit;
mod bootstrap;
mod check;
mod closed;
mod confirm;
mod connect;
mod credential;
mod demo;
mod dial;
mod failure;
mod import;
mod login;
mod migrate;
mod namespace;
mod output;
mod pepper;
mod policy;
mod present;
mod profile;
mod recover;
mod repeat;
mod serve;
mod spelling;
mod store;
mod subject;
mod tls;
mod token;
mod verify;
mod view;
mod watch;
mod webhook;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{CommandFactory, FromArgMatches, Parser};

use crate::token::secret::Secret;
use connect::{Address, Wire};
use credential::Bearer;
use dial::Heard;
use failure::{Failure, Outcome};
use output::Output;
use profile::Profile;
use repeat::{repeatable, request_id};

/// Items a page, when a whole list is read: what a person waits for without noticing.
const PAGE_SIZE: i32 = 500;

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  not done; stderr says why
  2  the command line was wrong
Exit codes of verify, check and audit verify:
  0  accepted, well-formed, intact
  1  refused, malformed, tampered with
  2  could not be judged: take it for a refusal";

/// Issue, verify and revoke API tokens.
#[derive(Parser, Debug)]
#[command(name = "tokenward", version, after_help = EXIT_CODES, arg_required_else_help = true)]
struct Cli {
    /// Where the server listens
    /// [default: that of the profile, else http://127.0.0.1:7117]
    #[arg(
        long,
        global = true,
        env = "TOKENWARD_ADDRESS",
        value_name = "URL",
        help_heading = "Options of every command"
    )]
    address: Option<Address>,
    /// The file with the credential to call with [default: TOKENWARD_CREDENTIAL, else the profile]
    #[arg(
        long,
        global = true,
        env = "TOKENWARD_CREDENTIAL_FILE",
        value_name = "PATH",
        help_heading = "Options of every command"
    )]
    credential_file: Option<PathBuf>,
    /// The profile that `tokenward login` keeps
    #[arg(
        long,
        global = true,
        env = "TOKENWARD_PROFILE",
        value_name = "NAME",
        help_heading = "Options of every command",
        default_value = profile::DEFAULT
    )]
    profile: String,
    /// Show the credential to a server beyond loopback that is not encrypted
    #[arg(long, global = true, help_heading = "Options of every command")]
    allow_plaintext: bool,
    #[command(flatten)]
    tls: tls::ClientTls,
    /// How answers are printed
    #[arg(
        long,
        global = true,
        value_name = "FORM",
        help_heading = "Options of every command",
        default_value = "table"
    )]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    /// Run a server, until SIGTERM
    Serve(Box<serve::ServeArgs>),
    /// Bring a store to the schema of this program
    Migrate(migrate::MigrateArgs),
    /// Make the first credential of a store
    Bootstrap(bootstrap::BootstrapArgs),
    /// Keep the address of a server and a credential for it
    Login(login::LoginArgs),
    /// Forget them
    Logout,
    /// Show as whom commands call, and what they may do
    Whoami,
    /// After a backup was restored: refuse to go on from what it has forgotten
    Recover(recover::RecoverArgs),
    /// Make and change the key over all digests
    #[command(subcommand)]
    Pepper(pepper::PepperCommand),
    /// Watch the whole life of a token, on a server and a store that are gone afterwards
    Demo,
    /// Create and show namespaces
    #[command(subcommand)]
    Namespace(namespace::NamespaceCommand),
    /// Say something of all tokens of a subject at once
    #[command(subcommand)]
    Subject(subject::SubjectCommand),
    /// Have the events of a namespace sent to URLs, signed
    #[command(subcommand)]
    Webhook(webhook::WebhookCommand),
    /// Issue the credentials that others call with
    #[command(subcommand)]
    Credential(token::CredentialCommand),
    /// Issue a token and show its secret, once
    Issue(token::IssueArgs),
    /// Take over tokens that were issued elsewhere, by the digests of their secrets
    Import(import::ImportArgs),
    /// Show one token
    Get {
        /// Id of the token
        token_id: String,
    },
    /// List the tokens of a namespace
    List(Box<token::ListArgs>),
    /// Change a token in place
    Update(Box<token::UpdateArgs>),
    /// Suspend a token: it is refused until it is resumed
    Suspend(token::SuspendArgs),
    /// Make a suspended token active again
    Resume(token::ResumeArgs),
    /// Revoke a token, for ever
    Revoke(token::RevokeArgs),
    /// Revoke all tokens that match, for ever: shows them and asks first
    RevokeMatching(Box<token::MatchingArgs>),
    /// Revoke the token that a leaked secret belongs to
    RevokeLeaked(token::LeakedArgs),
    /// Show what a token was used for and from where, or have that forgotten
    #[command(subcommand)]
    Usage(token::UsageCommand),
    /// Give a token a new secret and show it, once
    Rotate(token::RotateArgs),
    /// Judge a token: exit 0 accepted, 1 refused, 2 could not be judged
    Verify(verify::VerifyArgs),
    /// Judge the shape of a token offline: exit 0 well-formed, 1 malformed
    Check(check::CheckArgs),
    /// Follow the revocations as they happen
    Watch(watch::WatchArgs),
    /// Read the journal, and prove that nobody has tampered with it
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Print a completion script for a shell
    Completions { shell: clap_complete::Shell },
}

/// From where and with what commands call the server, and in which form they answer.
#[derive(Debug)]
struct Caller {
    address: Option<Address>,
    credential_file: Option<PathBuf>,
    profile: String,
    allow_plaintext: bool,
    tls: tls::ClientTls,
    heard: Heard,
    output: Output,
}

impl Caller {
    fn profile_name(&self) -> &str {
        &self.profile
    }

    fn address(&self) -> Result<Address, Failure> {
        let address = match &self.address {
            Some(address) => address.clone(),
            None => match Profile::load(&self.profile)? {
                Some(profile) => profile.address(&self.profile)?,
                None => connect::DEFAULT_ADDRESS.parse().map_err(Failure::new)?,
            },
        };
        Ok(address.with(self.tls.clone(), Arc::clone(&self.heard)))
    }

    /// What a failure was, where the server cut the connection off and said why.
    fn explain(&self, failure: Failure) -> Failure {
        match (self.heard.get(), self.address()) {
            (Some(alert), Ok(address)) => tls::turned_away(&address.to_string(), *alert),
            _ => failure,
        }
    }

    fn may_show_credential(&self, address: &Address) -> Result<(), Failure> {
        if self.allow_plaintext || !address.shows_to_the_network() {
            return Ok(());
        }
        let wrong =
            format_args!("{address} is not encrypted, and everybody on the way would see the credential");
        Err(Failure::usage(wrong).but("call https://, or say --allow-plaintext"))
    }

    /// With the credential that was given, else that of the profile if it is for this server, else without:
    /// the server says what it thinks of that.
    async fn connect(&self) -> Result<Wire, Failure> {
        let address = self.address()?;
        let bearer = match credential::given(self.credential_file.as_deref())? {
            Some(secret) => Bearer::new(&secret)?,
            None => match Profile::load(&self.profile)? {
                // Another server has no business with it.
                Some(profile) if profile.address == address.to_string() => {
                    Bearer::new(&Secret::new(profile.credential.clone()))?
                }
                Some(_) | None => Bearer::NONE,
            },
        };
        if bearer.is_some() {
            self.may_show_credential(&address)?;
        }
        address.connect(bearer).await
    }
}

impl Command {
    /// Whether 1 is its refusal; then a failure must be told from it, for a refusal is an answer.
    fn judges(&self) -> bool {
        match self {
            Command::Verify(_) | Command::Check(_) => true,
            Command::Audit(command) => command.judges(),
            _ => false,
        }
    }
}

/// Does what the arguments say.
pub fn run() -> ExitCode {
    let matches = Cli::command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let judges = cli.command.judges();
    let outcome = closed::close()
        .and_then(|()| store::refuse_password(&matches))
        .and_then(|()| dispatch(cli));
    outcome.unwrap_or_else(|failure| {
        if let Some(line) = failure.line() {
            // With stderr gone too there is only the exit code left to tell.
            let _ = output::note(&line);
        }
        failure.exit_code(judges)
    })
}

fn dispatch(cli: Cli) -> Outcome {
    let Cli {
        address,
        credential_file,
        profile,
        allow_plaintext,
        tls,
        output,
        command,
    } = cli;
    let caller = Caller {
        address,
        credential_file,
        profile,
        allow_plaintext,
        tls,
        heard: Heard::default(),
        output,
    };
    let outcome = match command {
        Command::Serve(args) => wait(serve::run(*args)),
        Command::Migrate(args) => wait(migrate::run(args, output)),
        Command::Bootstrap(args) => wait(bootstrap::run(args, output)),
        Command::Login(args) => wait(login::login(args, &caller)),
        Command::Logout => login::logout(&caller),
        Command::Whoami => wait(login::whoami(&caller)),
        Command::Recover(args) => wait(recover::run(args, output)),
        Command::Pepper(command) => wait(pepper::run(command, output)),
        Command::Demo => wait(demo::run()),
        Command::Check(args) => check::run(args, output),
        Command::Completions { shell } => completions(shell),
        Command::Namespace(command) => wait(namespace::run(command, &caller)),
        Command::Subject(command) => wait(subject::run(command, &caller)),
        Command::Webhook(command) => wait(webhook::run(command, &caller)),
        Command::Credential(command) => wait(token::credential(command, &caller)),
        Command::Issue(args) => wait(token::issue(args, &caller)),
        Command::Import(args) => wait(import::run(args, &caller)),
        Command::Get { token_id } => wait(token::get(token_id, &caller)),
        Command::List(args) => wait(token::list(*args, &caller)),
        Command::Update(args) => wait(token::update(*args, &caller)),
        Command::Suspend(args) => wait(token::suspend(args, &caller)),
        Command::Resume(args) => wait(token::resume(args, &caller)),
        Command::Revoke(args) => wait(token::revoke(args, &caller)),
        Command::RevokeMatching(args) => wait(token::revoke_matching(*args, &caller)),
        Command::RevokeLeaked(args) => wait(token::revoke_leaked(args, &caller)),
        Command::Usage(command) => wait(token::usage(command, &caller)),
        Command::Rotate(args) => wait(token::rotate(args, &caller)),
        Command::Verify(args) => wait(verify::run(args, &caller)),
        Command::Watch(args) => wait(watch::run(args, &caller)),
        Command::Audit(command) => wait(audit::run(command, &caller)),
    };
    outcome.map_err(|failure| caller.explain(failure))
}

/// Runs one command; it has one thing to do, so one thread is enough.
fn wait(command: impl Future<Output = Outcome>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format_args!("no runtime could be started: {error}")))?;
    runtime.block_on(command)
}

fn completions(shell: clap_complete::Shell) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "tokenward", &mut script);
    io::Write::write_all(&mut io::stdout().lock(), &script)?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests;
