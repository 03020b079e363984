/**
 * Every command and option, `queue` in a file of its own (queue-commands.ts). docs/cli.md is made from it (scripts/cli-reference.ts).
 *
 * Rules
 * 1. A command's work is in a file of its own, loaded when it is run: what needs little starts fast.
 * 2. Names stay once they were released.
 */
import { Argument, Command, InvalidArgumentError, Option } from "commander";
import { collect, configOption, count, dataOption, port, type Run } from "./options.ts";
import { addQueue } from "./queue-commands.ts";
import { version } from "./version.ts";

export function makeProgram(exit: Run): Command {
  const program = new Command("postrider")
    .description("SMTP from end to end: submission, a queue that loses nothing, relay, and a client.")
    .version(version, "-V, --version", "print the version")
    .helpOption("-h, --help", "print help")
    .exitOverride()
    .showHelpAfterError("(--help says more)")
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, "postrider: ")) });
  addServers(program, exit);
  addSend(program, exit);
  addQueue(program, exit);
  addUser(program, exit);
  addSuppression(program, exit);
  addReports(program, exit);
  addConfig(program, exit);
  addAuthentication(program, exit);
  addDkim(program, exit);
  return program;
}

function addServers(program: Command, exit: Run): void {
  program
    .command("serve")
    .description("Run the server: submission on 587 and 465, relay on 25, as the configuration has it.")
    .addOption(configOption())
    .addHelpText("after", "\nSIGTERM or SIGINT: finish what is under way, then stop. SIGHUP: read the certificate again.")
    .action(async (options) => exit(await (await import("./serve.ts")).serve(options)));
  program
    .command("dev")
    .description(
      "Try it out: a server that needs no configuration, and a second one that plays the recipient's. No mail leaves this machine.",
    )
    .option("-d, --data <folder>", "where the try-out keeps its queue, certificate and password", "postrider-data")
    .option("--submission <port>", "port with STARTTLS; 0 takes a free one", port, 2587)
    .option("--submissions <port>", "port with TLS from the first byte", port, 2465)
    .option("--recipient <port>", "port of the recipient's server", port, 2525)
    .action(async (options) => exit(await (await import("./dev.ts")).dev(options)));
}

function addSend(program: Command, exit: Run): void {
  program
    .command("send")
    .description("Compose a message and send it; prints the result for each recipient.")
    .option("-s, --server <host:port>", "where to (default: the try-out that runs in ./postrider-data)")
    .addOption(
      new Option(
        "--tls <mode>",
        "how to secure the connection (default: implicit on 465 and 2465, starttls on 587 and 2587 or with --user, else opportunistic)",
      ).choices(["starttls", "implicit", "opportunistic", "none"]),
    )
    .option("--ca <file>", "PEM file of certificates to trust instead of the system's")
    .option("--insecure", "do not check the server's certificate")
    .option("-u, --user <name>", "log in as; the password: $POSTRIDER_PASSWORD, --password-stdin, or a prompt")
    .option("--password-stdin", "read the password from the first line of standard input")
    .option("-f, --from <address>", 'sender, such as "Alice <alice@example.test>" (default: --user, where it is an address)')
    .option("-t, --to <addresses>", "recipients, parted by commas; may be repeated", collect)
    .option("--cc <addresses>", "recipients of a copy", collect)
    .option("--bcc <addresses>", "recipients of a copy that the others do not see", collect)
    .option("-S, --subject <text>", "subject")
    .option("-b, --body <text>", "text; absent or -: standard input")
    .option("--html <text>", "HTML beside the text")
    .option("-a, --attach <file>", "attach a file; may be repeated", collect)
    .option("-H, --header <field>", 'another header field, such as "X-Tag: a"; may be repeated', collect)
    .option(
      "--idempotency-key <key>",
      "names the message: a Postrider that heard it within 24 hours does not queue it again for the same recipient",
    )
    .option(
      "--raw <file>",
      "send this message (.eml) as it is, but for Bcc; - is standard input. Its own headers say from and to, unless --from and --to do",
    )
    .option("--hold-for <duration>", "let the server keep it for so long before it goes out, such as 4h")
    .option("--hold-until <time>", "likewise, until then, such as 2026-12-24T18:00:00Z")
    .option("--deliver-by <duration>", "you are told if it is not there after so long (from when it goes out)")
    .option("--or-return", "with --deliver-by: it comes back then")
    .option("--priority <number>", "its place among other mail on the way: -9 to 9, 0 is the usual")
    .option("--data <folder>", "folder of the try-out to send to", "postrider-data")
    .option("--helo <name>", "the name to give in EHLO")
    .option("--json", "print the result as JSON")
    .option("--transcript", "print the dialogue on standard error, without credentials and content")
    .addHelpText("after", exitCodesHelp)
    .action(async (options) => exit(await (await import("./send.ts")).send(options)));
}

const exitCodesHelp = `
Exit codes: 0 all accepted; 64 usage; 65 content refused; 66 a file is missing; 67 a recipient refused for good; 68 no such host;
69 no connection; 75 refused for now; 77 login or permission refused.`;

function addReports(program: Command, exit: Run): void {
  const reports = program
    .command("reports")
    .description("What others report about mail in your name: DMARC aggregate reports, feedback (ARF).");
  const sub = (name: string, text: string): Command => reports.command(name).description(text).option("--json", "print JSON");
  sub("list", "List the reports that came to reports.inbox, oldest first.")
    .addOption(configOption())
    .addOption(dataOption())
    .option("--domain <domain>", "only those about this domain")
    .option("-n, --limit <count>", "the newest so many", count, 50)
    .action(async (options) => exit(await (await import("./reports.ts")).listReports(options)));
  sub("show", "Show one of them, source by source.")
    .addArgument(new Argument("<id>", "its id in the list"))
    .addOption(configOption())
    .addOption(dataOption())
    .action(async (id, options) => exit(await (await import("./reports.ts")).showReport(id, options)));
  sub("read", "Show the reports in a file: a message, or a report by itself, packed or not.")
    .addArgument(new Argument("<file>", "the file; - is standard input"))
    .action(async (file, options) => exit(await (await import("./reports.ts")).readReports(file, options)));
}

function addSuppression(program: Command, exit: Run): void {
  const suppression = program
    .command("suppression")
    .description("Addresses that an account may not send to, as they do not exist. With or without a running server.");
  const sub = (name: string, text: string): Command =>
    suppression.command(name).description(text).addOption(configOption()).addOption(dataOption()).option("--json", "print JSON");
  const address = (): Argument => new Argument("<address>", "the address");
  const account = (): Option => new Option("--account <name>", "whose list it is").makeOptionMandatory();
  sub("list", "List suppressed addresses, by account.")
    .option("--account <name>", "of this account alone")
    .option("-n, --limit <count>", "addresses to list at most", count, 1000)
    .action(async (options) => exit(await (await import("./suppression.ts")).listSuppressions(options)));
  sub("add", "Suppress an address.")
    .addArgument(address())
    .addOption(account())
    .option("--reason <text>", "why")
    .option("--for <duration>", "for so long, such as 30d; else until it is removed")
    .action(async (mailbox, options) => exit(await (await import("./suppression.ts")).addSuppression(mailbox, options)));
  sub("remove", "Let the account send to an address again.")
    .addArgument(address())
    .addOption(account())
    .action(async (mailbox, options) => exit(await (await import("./suppression.ts")).removeSuppression(mailbox, options)));
  sub("check", "Say whether an address is suppressed. Exit code 67 if it is.")
    .addArgument(address())
    .addOption(account())
    .action(async (mailbox, options) => exit(await (await import("./suppression.ts")).checkSuppression(mailbox, options)));
}

function addUser(program: Command, exit: Run): void {
  const user = program
    .command("user")
    .description("Accounts: who may log in, and which addresses are theirs. With or without a running server.");
  const sub = (name: string, text: string): Command =>
    user.command(name).description(text).addOption(configOption()).addOption(dataOption());
  const name = (): Argument => new Argument("<name>", "login name, an address as a rule");
  const fromInput = (): Option => new Option("--password-stdin", "read the password from the first line of standard input");
  sub("add", "Add an account.")
    .addArgument(name())
    .option(
      "-a, --address <address>",
      "an address it may send as and receives for, or *@domain; may be repeated (default: its name)",
      collect,
    )
    .addOption(fromInput())
    .action(async (login, options) => exit(await (await import("./user.ts")).addUser(login, options)));
  sub("list", "List accounts.")
    .option("--json", "print JSON")
    .action(async (options) => exit(await (await import("./user.ts")).listUsers(options)));
  sub("passwd", "Change an account's password.")
    .addArgument(name())
    .addOption(fromInput())
    .action(async (login, options) => exit(await (await import("./user.ts")).changePassword(login, options)));
  sub("remove", "Remove an account. Its queued mail stays.")
    .addArgument(name())
    .action(async (login, options) => exit(await (await import("./user.ts")).removeUser(login, options)));
}

function addConfig(program: Command, exit: Run): void {
  const config = program.command("config").description("The configuration.");
  config
    .command("check")
    .description("Check the configuration, its certificate and its key; prints every problem. Exit code 78 if there is one.")
    .addOption(configOption())
    .action(async (options) => exit(await (await import("./config.ts")).checkConfig(options)));
}

const resolverOption = (): Option =>
  new Option("--resolver <address>", "DNS server to ask, such as 127.0.0.1:5353; several are parted by commas (default: the system's)");

function addAuthentication(program: Command, exit: Run): void {
  program
    .command("verify")
    .description("Explain what a receiver finds about a message: SPF, DKIM, ARC and DMARC, step by step, and what would be done with it.")
    .addArgument(new Argument("<message>", "the message (.eml); - is standard input"))
    .option("--ip <address>", "the address that it came from; without it SPF and the name of the address are left out")
    .option("--helo <name>", "what that server said in EHLO")
    .option("--from <address>", "MAIL FROM; <> is the null reverse-path. Without it SPF is left out")
    .addOption(resolverOption())
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\nExit codes: 0 DMARC passes, or without a policy something proves the author; 65 it does not; 75 DNS did not answer.",
    )
    .action(async (message, options) => exit(await (await import("./verify.ts")).verify(message, options)));
  program
    .command("doctor")
    .description("Compare what DNS has for a domain with what it should have; prints the records to publish.")
    .addArgument(new Argument("<domain>", "the domain"))
    .addOption(configOption())
    .option(
      "--ip <address>",
      "an address that sends for the domain; may be repeated (default: those of the configuration's hostname)",
      collect,
    )
    .option("--helo <name>", "what the server says in EHLO (default: the configuration's)")
    .option("--selector <name>", "a DKIM selector; may be repeated (default: those of the configuration and of the key folder)", collect)
    .option("--folder <folder>", "where DKIM keys are", "keys")
    .option("--connect", "connect to the domain's mail servers, and look at TLS")
    .option("--port <port>", "where to connect to", port, 25)
    .addOption(resolverOption())
    .option("--json", "print JSON")
    .addHelpText("after", "\nExit codes: 0 nothing to mend; 65 problems; 75 DNS did not answer.")
    .action(async (domain, options) => exit(await (await import("./doctor.ts")).doctor(domain, options)));
}

function addDkim(program: Command, exit: Run): void {
  const dkim = program.command("dkim").description("Keys to sign with: made, compared with DNS, replaced. See docs/dkim.md.");
  const sub = (name: string, text: string): Command =>
    dkim
      .command(name)
      .description(text)
      .option("--folder <folder>", "where keys are, a folder for each domain", "keys")
      .addOption(configOption())
      .option("--json", "print JSON");
  const selector = (): Option => new Option("--selector <name>", "selector of the new key (default: of today, such as s20260131)");
  const algorithm = (text: string): Option => new Option("--algorithm <algorithm>", text).choices(["rsa2048", "ed25519", "both"]);
  sub("new", "Make keys; prints the DNS records and the lines for the configuration.")
    .addArgument(new Argument("<domain>", "the domain that signs"))
    .addOption(selector())
    .addOption(algorithm("what to make; Ed25519 beside RSA has the selector NAME-ed25519").default("both"))
    .action(async (domain, options) => exit(await (await import("./dkim-new.ts")).newKey(domain, options)));
  sub(
    "check",
    "Compare the keys with DNS, and say what to do. Exit code 65 where a record is missing or another, 75 where DNS did not answer.",
  )
    .addArgument(new Argument("[domain]", "the domain (default: every domain that has keys)"))
    .addOption(resolverOption())
    .action(async (domain, options) => exit(await (await import("./dkim-check.ts")).checkKeys(domain, options)));
  sub("rotate", "Replace the keys: publish, verify in DNS, switch, retire. Each call does the next step that is possible.")
    .addArgument(new Argument("<domain>", "the domain that signs"))
    .addOption(selector())
    .addOption(algorithm("what to make (default: as the keys that sign now)"))
    .option("--keep <days>", "how long old records stay after the switch (default: 7)", days)
    .addOption(resolverOption())
    .action(async (domain, options) => exit(await (await import("./dkim-rotate.ts")).rotateKeys(domain, options)));
}

function days(text: string): number {
  if (!/^\d{1,3}$/.test(text)) throw new InvalidArgumentError("A number of days from 0 to 999 is needed.");
  return Number(text);
}
