/** Mailboxes in Maildir form, for other servers to deliver into. */
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, watch } from "node:fs";
import { join } from "node:path";
import { type ArrivedMessage, parts } from "../support/recipient.ts";
import type { Cleanup } from "../support/temp-folder.ts";
import { Arrivals } from "../support/waiting.ts";

export type MailboxContent = Pick<ArrivedMessage, "content" | "header" | "body">;

export interface Maildirs {
  /** One folder for each user lies below it. */
  readonly folder: string;
  /** The first message of that user. */
  message(user: string): Promise<MailboxContent>;
  /** The first `count` messages of that user that match. */
  messages(user: string, count: number, what: string, matches: (message: MailboxContent) => boolean): Promise<MailboxContent[]>;
  /** How many messages a user has by now. */
  count(user: string): number;
}

export interface MaildirsOptions {
  readonly folder: string;
  readonly users: readonly string[];
  /** Whoever delivers. */
  readonly uid: number;
  readonly gid: number;
  /** What the server has said, for the error of a wait in vain. */
  log(): string;
}

export function makeMaildirs(t: Cleanup, { folder, users, uid, gid, log }: MaildirsOptions): Maildirs {
  const arrivals = new Map<string, Arrivals<MailboxContent>>();
  mkdirSync(folder);
  chmodSync(folder, 0o755);
  for (const user of users) {
    const home = join(folder, user);
    for (const each of [home, join(home, "cur"), join(home, "new"), join(home, "tmp")]) {
      mkdirSync(each);
      chownSync(each, uid, gid);
    }
    arrivals.set(user, watchFolder(t, join(home, "new"), log));
  }
  const of = (user: string): Arrivals<MailboxContent> => {
    const found = arrivals.get(user);
    if (found === undefined) throw new Error(`there is no mailbox ${user}`);
    return found;
  };
  return {
    folder,
    message: (user) => of(user).first(`a message in the mailbox ${user}`, () => true),
    messages: (user, count, what, matches) => of(user).atLeast(count, `${count} of ${what} in the mailbox ${user}`, matches),
    count: (user) => of(user).all.length,
  };
}

function watchFolder(t: Cleanup, folder: string, log: () => string): Arrivals<MailboxContent> {
  const arrivals = new Arrivals<MailboxContent>(log);
  const seen = new Set<string>();
  const watcher = watch(folder, () => {
    for (const name of readdirSync(folder)) {
      if (seen.has(name)) continue;
      seen.add(name);
      // On disk lines end in LF.
      const content = Buffer.from(readFileSync(join(folder, name)).toString("latin1").replaceAll("\n", "\r\n"), "latin1");
      arrivals.push({ content, ...parts(content) });
    }
  });
  t.after(() => watcher.close());
  return arrivals;
}
