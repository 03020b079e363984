/**
 * OpenSMTPD, only unpacked, as a submission server.
 *
 * Rules
 * 1. Version 7 or later: 6.8 fails every handshake under OpenSSL 3.
 * 2. It has its paths compiled in, so it runs as if installed, with /var/spool, /var/lib and /run of its own, in memory.
 */
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { collect, runWell } from "../support/programs.ts";
import { type Cleanup, tempFolder } from "../support/temp-folder.ts";
import { missingInstalled, startInstalled } from "./as-installed.ts";
import { makeMaildirs } from "./maildir.ts";
import { freePorts, reachable } from "./other-server.ts";
import { account, makeCertificate, type SubmissionServer, users } from "./submission.ts";

const host = "127.0.0.24";
const hostname = "mx.opensmtpd.test";
const domain = "opensmtpd.test";
/** Nobody else's on a Debian machine. */
const ids = { opensmtpd: 64_191, opensmtpq: 64_192, mail: 64_193 } as const;

export function missingOpenSmtpd(): string[] {
  return missingInstalled("opensmtpd", "smtpd");
}

export async function startOpenSmtpd(t: Cleanup): Promise<SubmissionServer> {
  const folder = tempFolder(t, "postrider-opensmtpd-");
  chmodSync(folder, 0o755);
  let log = (): string => "";
  const mail = makeMaildirs(t, { folder: join(folder, "mail"), users, uid: ids.mail, gid: ids.mail, log: () => log() });
  const authority = makeCertificate(folder, [hostname, host], { uid: 0, gid: 0 });
  const { stdout: hash } = await runWell("openssl", ["passwd", "-6", "-stdin"], { input: `${account.password}\n` });
  writeFileSync(join(folder, "credentials"), `${account.user} ${hash.trim()}\n`);
  writeFileSync(join(folder, "users"), users.map((name) => `${name} ${ids.mail}:${ids.mail}:${mail.folder}/${name}\n`).join(""));
  const [starttls, implicit] = (await freePorts(2, [host])) as [number, number];
  writeFileSync(join(folder, "smtpd.conf"), configuration(folder, mail.folder, starttls, implicit), { mode: 0o600 });
  const accounts = [
    { name: "opensmtpd", id: ids.opensmtpd },
    { name: "opensmtpq", id: ids.opensmtpq },
    { name: "postrider-mail", id: ids.mail },
  ];
  const prepare = [
    "for each in /var/spool /var/lib /run; do mount -t tmpfs -o mode=755 tmpfs $each; done",
    "mkdir -p /var/lib/opensmtpd/empty /var/spool/smtpd",
    "chmod 711 /var/spool/smtpd",
  ];
  const child = startInstalled(t, { package: "opensmtpd", folder, users: accounts, prepare }, "smtpd", [
    "-d",
    "-f",
    join(folder, "smtpd.conf"),
  ]);
  const out = collect(child.stdout);
  const err = collect(child.stderr);
  log = () => out() + err();
  await reachable(host, implicit, child, log);
  return { host, ports: { starttls, implicit }, domain, authority, mail };
}

function configuration(folder: string, mail: string, starttls: number, implicit: number): string {
  return `pki here cert "${folder}/certificate.pem"
pki here key "${folder}/key.pem"
table credentials file:${folder}/credentials
table people file:${folder}/users
listen on ${host} port ${starttls} tls-require pki here auth <credentials> hostname ${hostname}
listen on ${host} port ${implicit} smtps pki here auth <credentials> hostname ${hostname}
action "mailboxes" maildir "${mail}/%{dest.user}" userbase <people>
match from any for domain "${domain}" action "mailboxes"
`;
}
