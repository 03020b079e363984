/** `postrider queue` and what it takes: a part of the program's definition (program.ts), under its rules. */
import { Argument, type Command } from "commander";
import { configOption, count, dataOption, type Run } from "./options.ts";

export function addQueue(program: Command, exit: Run): void {
  const queue = program.command("queue").description("Look at the queue and change it, with or without a running server.");
  const sub = (name: string, text: string): Command =>
    queue.command(name).description(text).addOption(configOption()).addOption(dataOption()).option("--json", "print JSON");
  sub("list", "List queued messages, oldest first; all of them, or those that fit a filter such as: to:example.test age>1h.")
    .addArgument(new Argument("[filter...]", "which; docs/queue.md"))
    .option("-n, --limit <count>", "messages to list at most", count, 50)
    .option("--after <id>", "begin after this message")
    .action(async (filter, options) => exit(await (await import("./queue.ts")).listQueue(filter, options)));
  sub("show", "Show one message: its envelope and what was tried for each recipient.")
    .addArgument(new Argument("<id>", "the message's id"))
    .option("--header", "print its header section instead")
    .option("--content", "print its content instead, as it is")
    .action(async (id, options) => exit(await (await import("./queue.ts")).showMessage(id, options)));
  const which = (): Argument => new Argument("[which...]", "ids, or a filter");
  const change = (name: string, text: string): Command =>
    sub(name, text).addArgument(which()).option("--all", "every message").option("--dry-run", "only count them");
  sub("count", "Count messages; all of them, or those that fit a filter.")
    .addArgument(which())
    .action(async (words, options) => exit(await (await import("./queue-changes.ts")).countMessages(words, options)));
  change("hold", "Keep messages from being tried.")
    .option("--reason <text>", "why, for those who look at it")
    .option("--for <duration>", "for so long, such as 4h; else until it is released")
    .action(async (words, options) => exit(await (await import("./queue-changes.ts")).holdMessages(words, options)));
  change("release", "Let held messages go on; they are due now, unless their senders want them held until later.").action(
    async (words, options) => exit(await (await import("./queue-changes.ts")).releaseMessages(words, options)),
  );
  change("retry", "Try again now. What its sender wants held until later is meant by its id alone.").action(async (words, options) =>
    exit(await (await import("./queue-changes.ts")).retryMessages(words, options)),
  );
  change("remove", "Remove messages for good.")
    .option("--bounce", "tell their senders")
    .option("--reason <text>", "what the senders are told")
    .action(async (words, options) => exit(await (await import("./queue-changes.ts")).removeMessages(words, options)));
  const suspended = (): Argument => new Argument("<what>", "domain:example.test, sender:ann@example.test or account:ann");
  sub("suspend", "Queue all mail to a domain, from a sender or of an account, and try none of it.")
    .addArgument(suspended())
    .option("--reason <text>", "why")
    .option("--for <duration>", "for so long, such as 4h; else until it is resumed")
    .action(async (what, options) => exit(await (await import("./queue-changes.ts")).suspend(what, options)));
  sub("resume", "End that; what was put off is due now.")
    .addArgument(suspended())
    .action(async (what, options) => exit(await (await import("./queue-changes.ts")).resume(what, options)));
  sub("suspensions", "List what is suspended.").action(async (options) =>
    exit(await (await import("./queue-changes.ts")).listSuspensions(options)),
  );
  sub("destinations", "Show where the running server sends mail, and what it leaves alone for now.").action(async (options) =>
    exit(await (await import("./queue-destinations.ts")).listDestinations(options)),
  );
  addMigrate(queue, exit);
}

function addMigrate(queue: Command, exit: Run): void {
  queue
    .command("migrate")
    .description("Move queue and accounts from one store to another. The servers that use the source must be stopped.")
    .addOption(configOption())
    .option("--from <store>", "a data folder, or the URL of a PostgreSQL database (default: the configuration's store)")
    .option("--to <store>", "likewise")
    .option("--json", "print JSON")
    .action(async (options) => exit(await (await import("./migrate-queue.ts")).migrate(options)));
}
