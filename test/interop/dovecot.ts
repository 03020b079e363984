/**
 * Dovecot, only unpacked: an LMTP server behind a unix socket, and who checks logins for Postfix.
 *
 * Rules
 * 1. It knows the users of the tests and no others, by password and by a token that the tests sign (RFC 7519, HS256).
 * 2. `full` is over quota: LMTP tells so after the content, for that recipient alone (RFC 2033 4.2).
 */
import { createHmac, randomBytes } from "node:crypto";
import { chmodSync, chownSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { collect } from "../support/programs.ts";
import { type Cleanup, tempFolder } from "../support/temp-folder.ts";
import { missingInstalled, startInstalled } from "./as-installed.ts";
import { type Maildirs, makeMaildirs } from "./maildir.ts";
import { reachable } from "./other-server.ts";
import { account, users } from "./submission.ts";

/** Nobody else's on a Debian machine. */
const ids = { dovecot: 64_181, dovenull: 64_182, mail: 64_183 } as const;

export interface Dovecot {
  /** Unix sockets. */
  readonly lmtp: string;
  readonly authentication: string;
  readonly token: string;
  readonly mail: Maildirs;
}

export function missingDovecot(): string[] {
  return missingInstalled("dovecot", "dovecot");
}

export async function startDovecot(t: Cleanup): Promise<Dovecot> {
  const folder = tempFolder(t, "postrider-dovecot-");
  chmodSync(folder, 0o755);
  const everybody = [...users, "full"];
  let log = (): string => "";
  const owner = { uid: ids.mail, gid: ids.mail };
  const mail = makeMaildirs(t, { folder: join(folder, "mail"), users: everybody, ...owner, log: () => log() });
  for (const name of everybody) chownSync(join(folder, "mail", name), ids.mail, ids.mail);
  const secret = randomBytes(32);
  const keys = join(folder, "keys/default/HS256");
  mkdirSync(keys, { recursive: true });
  writeFileSync(join(keys, "default"), secret.toString("base64"));
  const quota = (name: string): string => (name === "full" ? "userdb_quota_rule=*:bytes=1000" : "");
  const lines = everybody.map(
    (name) => `${name}:{PLAIN}${account.password}:${ids.mail}:${ids.mail}::${mail.folder}/${name}::${quota(name)}`,
  );
  writeFileSync(join(folder, "users"), `${lines.join("\n")}\n`);
  writeFileSync(
    join(folder, "oauth2.conf"),
    `introspection_mode = local
local_validation_key_dict = fs:posix:prefix=${folder}/keys/
username_attribute = sub
`,
  );
  writeFileSync(join(folder, "log"), "");
  writeFileSync(join(folder, "dovecot.conf"), configuration(folder));
  const accounts = [
    { name: "dovecot", id: ids.dovecot },
    { name: "dovenull", id: ids.dovenull },
    { name: "postrider-mail", id: ids.mail },
  ];
  const installed = { package: "dovecot-core", folder, users: accounts };
  const child = startInstalled(t, installed, "dovecot", ["-F", "-c", join(folder, "dovecot.conf")]);
  const out = collect(child.stdout);
  const err = collect(child.stderr);
  log = () => out() + err() + readFileSync(join(folder, "log"), "utf8");
  const lmtp = join(folder, "run/test-lmtp");
  const authentication = join(folder, "run/test-auth");
  for (const path of [lmtp, authentication]) await reachable(path, 0, child, log);
  return { lmtp, authentication, token: signedToken(secret), mail };
}

function configuration(folder: string): string {
  return `base_dir = ${folder}/run
state_dir = ${folder}/state
log_path = ${folder}/log
protocols = lmtp
listen = 127.0.0.1
ssl = no
default_internal_user = dovecot
default_internal_group = dovecot
default_login_user = dovenull
first_valid_uid = 1
mail_location = maildir:${folder}/mail/%n
mail_fsync = never
auth_mechanisms = plain login cram-md5 scram-sha-1 scram-sha-256 oauthbearer xoauth2
auth_failure_delay = 0
auth_username_format = %Ln
recipient_delimiter = +
hostname = mx.dovecot.test
passdb {
  driver = oauth2
  mechanisms = oauthbearer xoauth2
  args = ${folder}/oauth2.conf
}
passdb {
  driver = passwd-file
  mechanisms = plain login cram-md5 scram-sha-1 scram-sha-256
  args = ${folder}/users
}
userdb {
  driver = passwd-file
  args = ${folder}/users
}
service auth {
  unix_listener test-auth {
    mode = 0666
  }
}
# Who fails is made to wait for as long as anvil counts.
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service lmtp {
  unix_listener test-lmtp {
    mode = 0666
  }
}
service stats {
  unix_listener stats-writer {
    mode = 0666
  }
}
mail_plugins = quota
plugin {
  quota = count:User quota
  quota_vsizes = yes
}
protocol lmtp {
  mail_plugins = quota
}
`;
}

/** A JSON Web Token for the account (RFC 7519), signed with HS256 (RFC 7518 3.2). */
function signedToken(secret: Uint8Array): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const now = Math.floor(Date.now() / 1000);
  const signed = `${part({ typ: "JWT", alg: "HS256" })}.${part({ sub: account.user, iat: now - 10, exp: now + 3600 })}`;
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}
