/**
 * Postfix in a folder of its own.
 *
 * Rules
 * 1. Nothing outside the folder is written; the master process is started directly and ended by its id.
 * 2. Debian's services and defaults but for: no chroot (it would need files in the folder), no pause between arrivals (`in_flow_delay`).
 *    It logs to syslog, to which nothing listens here: that costs it less than the file which the others write.
 */
import { execFileSync } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Child } from "../child.ts";
import type { PostfixFiles } from "../tools.ts";
import type { Contender, Missing, StartOptions } from "./server.ts";

const queueFolders = ["active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved", "trace"];

export function postfix(files: PostfixFiles | undefined): Contender | Missing {
  const name = "Postfix";
  if (files === undefined)
    return { name, why: "not on the PATH, and POSTRIDER_DEBS names no folder with it (dpkg -x postfix_*.deb FOLDER)" };
  if (process.getuid?.() !== 0) return { name, why: "its master process starts as root alone" };
  const env = { ...process.env, ...files.env };
  const version = execFileSync(join(files.commands, "postconf"), ["-d", "-h", "mail_version"], {
    env,
    stdio: ["ignore", "pipe", "ignore"],
  });
  return { name, version: version.toString().trim(), share: 0.25, start: (options) => start(files, options) };
}

function start(files: PostfixFiles, { folder, port, nextHop }: StartOptions): Child {
  const config = join(folder, "config");
  const queue = join(folder, "queue");
  const data = join(folder, "data");
  const owner = idOf("passwd", ["postfix", "news"]);
  const group = idOf("group", ["postdrop", "uucp"]);
  for (const each of [config, queue, data]) mkdirSync(each);
  for (const each of queueFolders) makeFolder(join(queue, each), 0o700, owner.id, 0);
  makeFolder(join(queue, "public"), 0o710, owner.id, group.id);
  makeFolder(join(queue, "maildrop"), 0o1730, owner.id, group.id);
  mkdirSync(join(queue, "pid"));
  chownSync(data, owner.id, 0);
  writeFileSync(join(config, "main.cf"), mainCf(files, { queue, data, owner: owner.name, group: group.name, nextHop }));
  writeFileSync(join(config, "master.cf"), masterCf(port));
  const env = { ...files.env, MAIL_CONFIG: config };
  return new Child({ file: join(files.daemons, "master"), args: ["-c", config, "-d"], env, log: join(folder, "postfix.log") });
}

function makeFolder(path: string, mode: number, user: number, group: number): void {
  mkdirSync(path);
  chownSync(path, user, group);
  chmodSync(path, mode);
}

/** The first of these names that the machine has. Postfix wants an account and a group that nothing else of it uses. */
function idOf(database: "passwd" | "group", names: readonly string[]): { name: string; id: number } {
  for (const name of names) {
    try {
      const id = Number(execFileSync("getent", [database, name]).toString().split(":")[2]);
      return { name, id };
    } catch {
      // The next one.
    }
  }
  throw new Error(`none of ${names.join(", ")} is known to getent ${database}`);
}

interface Main {
  readonly queue: string;
  readonly data: string;
  readonly owner: string;
  readonly group: string;
  readonly nextHop: number;
}

function mainCf(files: PostfixFiles, { queue, data, owner, group, nextHop }: Main): string {
  return `compatibility_level = 3.6
myhostname = mail.example.test
mydestination =
local_recipient_maps =
relay_domains = example.com
relayhost = [127.0.0.1]:${nextHop}
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =
queue_directory = ${queue}
data_directory = ${data}
daemon_directory = ${files.daemons}
command_directory = ${files.commands}
shlib_directory = ${files.libraries}
meta_directory = ${files.meta}
mail_owner = ${owner}
setgid_group = ${group}
in_flow_delay = 0
default_process_limit = 100
default_destination_concurrency_limit = 20
import_environment = MAIL_CONFIG MAIL_DEBUG MAIL_LOGTAG TZ LANG=C LD_LIBRARY_PATH
`;
}

function masterCf(port: number): string {
  return `127.0.0.1:${port} inet n - n - - smtpd
cleanup    unix n - n -     0 cleanup
qmgr       unix n - n 300   1 qmgr
rewrite    unix - - n -     - trivial-rewrite
bounce     unix - - n -     0 bounce
defer      unix - - n -     0 bounce
trace      unix - - n -     0 bounce
verify     unix - - n -     1 verify
flush      unix n - n 1000? 0 flush
proxymap   unix - - n -     - proxymap
proxywrite unix - - n -     1 proxymap
smtp       unix - - n -     - smtp
relay      unix - - n -     - smtp
error      unix - - n -     - error
retry      unix - - n -     - error
anvil      unix - - n -     1 anvil
scache     unix - - n -     1 scache
`;
}
