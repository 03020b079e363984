/**
 * Postfix as a submission server, with SASL by Cyrus on one address and by Dovecot on the other.
 *
 * Rules
 * 1. Cyrus checks against a database of its own (sasldb), Dovecot as its configuration says.
 */
import { chmodSync, chownSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runWell } from "../support/programs.ts";
import { type Cleanup, tempFolder } from "../support/temp-folder.ts";
import { makeMaildirs } from "./maildir.ts";
import { accountIds, freePorts, reachable } from "./other-server.ts";
import { baseMainCf, mailboxMainCf, makeFolders, masterCf, OWNER, postfixRoot, startMaster } from "./postfix.ts";
import { account, makeCertificate, type SubmissionServer, users } from "./submission.ts";

const addresses = { cyrus: "127.0.0.21", dovecot: "127.0.0.22" } as const;
const hostname = "mx.postfix.test";
const domain = "postfix.test";

export interface PostfixSubmission {
  readonly cyrus: SubmissionServer;
  readonly dovecot: SubmissionServer;
}

/** `dovecot`: the socket of its authentication, and a token that it takes. */
export async function startPostfixSubmission(t: Cleanup, dovecot: { authentication: string; token: string }): Promise<PostfixSubmission> {
  const root = postfixRoot();
  const folder = tempFolder(t, "postrider-postfix-");
  chmodSync(folder, 0o755);
  const owner = accountIds(OWNER);
  let log = (): string => "";
  const mail = makeMaildirs(t, { folder: join(folder, "mail"), users: [...users, "köln"], ...owner, log: () => log() });
  makeFolders(folder);
  const [starttls, implicit] = (await freePorts(2, Object.values(addresses))) as [number, number];
  const authority = makeCertificate(folder, [hostname, ...Object.values(addresses)], { uid: 0, gid: 0 });
  writeFileSync(join(folder, "log"), "");
  writeFileSync(join(folder, "mailboxes"), [...users, "köln"].map((name) => `${name}@${domain} ${name}/\n`).join(""));
  await makeSaslDatabase(join(folder, "sasl"), "smtpd", owner);
  writeFileSync(
    join(folder, "main.cf"),
    `${baseMainCf(root, folder, hostname)}
${mailboxMainCf(folder, mail, domain)}
mynetworks =
cyrus_sasl_config_path = ${folder}/sasl
smtpd_sasl_local_domain = ${hostname}
smtpd_sasl_auth_enable = yes
smtpd_sasl_authenticated_header = yes
smtpd_sasl_security_options = noanonymous
smtpd_tls_auth_only = yes
smtpd_tls_security_level = encrypt
smtpd_client_restrictions = permit_sasl_authenticated, reject
smtpd_relay_restrictions = reject_unauth_destination
smtpd_error_sleep_time = 0
default_transport = error
`,
  );
  const listeners = Object.entries(addresses).flatMap(([type, address]) => {
    const sasl = `-o smtpd_sasl_type=${type} -o smtpd_sasl_path=${type === "dovecot" ? dovecot.authentication : "smtpd"}`;
    return [
      `${address}:${starttls} inet n - n - - smtpd ${sasl}`,
      `${address}:${implicit} inet n - n - - smtpd ${sasl} -o smtpd_tls_wrappermode=yes`,
    ];
  });
  writeFileSync(join(folder, "master.cf"), masterCf(listeners));
  const running = startMaster(t, root, folder);
  log = running.log;
  for (const address of Object.values(addresses)) await reachable(address, implicit, running.child, log);
  const common = { ports: { starttls, implicit }, domain, authority, mail };
  return {
    cyrus: { ...common, host: addresses.cyrus },
    dovecot: { ...common, host: addresses.dovecot, token: dovecot.token },
  };
}

/** Configuration and passwords of Cyrus SASL for one application, in a new folder. */
export async function makeSaslDatabase(folder: string, application: string, owner: { uid: number; gid: number }): Promise<void> {
  mkdirSync(folder);
  const database = join(folder, "sasldb2");
  const config = `pwcheck_method: auxprop
auxprop_plugin: sasldb
sasldb_path: ${database}
mech_list: PLAIN LOGIN CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256
`;
  writeFileSync(join(folder, `${application}.conf`), config);
  const { user, password } = account;
  await runWell("saslpasswd2", ["-c", "-p", "-f", database, "-u", hostname, user], { input: password });
  chownSync(database, owner.uid, owner.gid);
}
