/**
 * Exim as a submission server: PLAIN, LOGIN and CRAM-MD5 by its own code, SCRAM by Cyrus SASL's, EXTERNAL by the client's certificate.
 *
 * Rules
 * 1. It uses nothing of the system's Exim but the user that Debian's is built for.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { collect, findProgram, missingAccount, runWell, start, unpackedFolder } from "../support/programs.ts";
import { type Cleanup, tempFolder } from "../support/temp-folder.ts";
import { eximUser } from "./exim.ts";
import { makeMaildirs } from "./maildir.ts";
import { accountIds, freePorts, reachable } from "./other-server.ts";
import { account, makeCertificate, type SubmissionServer, users } from "./submission.ts";
import { makeSaslDatabase } from "./submission-postfix.ts";

const host = "127.0.0.23";
const hostname = "mx.exim.test";
const domain = "exim.test";

/** Debian has two builds of Exim; Cyrus SASL is in the heavy one. */
function heavyExim(): string | undefined {
  const candidates = [join(unpackedFolder, "exim4-daemon-heavy/usr/sbin/exim4"), findProgram("exim4")];
  return candidates.find(
    (path) => path !== undefined && /\bcyrus_sasl\b/.test(spawnSync(path, ["-bV"], { encoding: "utf8" }).stdout ?? ""),
  );
}

export function missingEximSubmission(): string[] {
  return [
    ...(process.getuid?.() === 0 ? [] : ["it takes root to run a mail server under its own user"]),
    ...(heavyExim() === undefined ? ["exim4-daemon-heavy is not installed"] : []),
    ...missingAccount("passwd", eximUser),
  ];
}

export async function startEximSubmission(t: Cleanup): Promise<SubmissionServer> {
  const program = heavyExim() as string;
  const folder = tempFolder(t, "postrider-exim-");
  chmodSync(folder, 0o755);
  const owner = accountIds(eximUser);
  let log = (): string => "";
  const mail = makeMaildirs(t, { folder: join(folder, "mail"), users: [...users, "köln"], ...owner, log: () => log() });
  for (const name of ["spool", "log"]) {
    mkdirSync(join(folder, name));
    chownSync(join(folder, name), owner.uid, owner.gid);
  }
  const authority = makeCertificate(folder, [hostname, host], owner);
  const certificate = await makeClientCertificate(folder);
  await makeSaslDatabase(join(folder, "sasl"), "exim", owner);
  writeFileSync(join(folder, "users"), [...users, "köln"].map((name) => `${name}: ${name}\n`).join(""));
  // In Exim's own lists a colon and a quote have a meaning: the password is looked up in a file.
  writeFileSync(join(folder, "passwords"), `${account.user}: ${account.password}\n`, { mode: 0o640 });
  chownSync(join(folder, "passwords"), 0, owner.gid);
  const [starttls, implicit] = (await freePorts(2, [host])) as [number, number];
  const config = join(folder, "exim.conf");
  writeFileSync(config, configuration(program, folder, mail.folder, implicit), { mode: 0o640 });
  chownSync(config, 0, owner.gid);
  const listeners = ["-oX", `<; [${host}]:${starttls} ; [${host}]:${implicit}`];
  const child = start(t, program, ["-C", config, "-bdf", "-q1m", ...listeners, "-oP", join(folder, "pid")], {
    env: { SASL_CONF_PATH: join(folder, "sasl") },
  });
  const out = collect(child.stdout);
  const err = collect(child.stderr);
  const logs = join(folder, "log");
  log = () => [out(), err(), ...readdirSync(logs).map((name) => readFileSync(join(logs, name), "utf8"))].join("\n");
  await reachable(host, implicit, child, log);
  return { host, ports: { starttls, implicit }, domain, authority, mail, certificate };
}

/** A certificate whose subject is the account, for the client; as `client.pem` what Exim trusts. */
async function makeClientCertificate(folder: string): Promise<{ chain: string; key: string }> {
  const [chain, key] = [join(folder, "client.pem"), join(folder, "client-key.pem")];
  const what = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", `/CN=${account.user}`];
  await runWell("openssl", ["req", "-x509", ...what, "-keyout", key, "-out", chain]);
  return { chain: readFileSync(chain, "utf8"), key: readFileSync(key, "utf8") };
}

function configuration(program: string, folder: string, mail: string, implicit: number): string {
  const cyrus = ["SCRAM-SHA-1", "SCRAM-SHA-256"].map(
    (name) => `${name.toLowerCase().replaceAll("-", "_")}:
  driver = cyrus_sasl
  public_name = ${name}
  server_hostname = ${hostname}
  server_realm = mx.postfix.test
  server_service = smtp
  server_set_id = $auth1`,
  );
  return `exim_path = ${program}
exim_user = ${eximUser}
exim_group = ${eximUser}
deliver_drop_privilege = true
keep_environment = SASL_CONF_PATH
spool_directory = ${folder}/spool
log_file_path = ${folder}/log/%slog
primary_hostname = ${hostname}
disable_ipv6 = true
domainlist local_domains = ${domain}
never_users =
host_lookup =
rfc1413_query_timeout = 0s
dsn_advertise_hosts = *
smtputf8_advertise_hosts = *
chunking_advertise_hosts = *
tls_advertise_hosts = *
tls_on_connect_ports = ${implicit}
tls_certificate = ${folder}/certificate.pem
tls_privatekey = ${folder}/key.pem
tls_try_verify_hosts = *
tls_verify_certificates = ${folder}/client.pem
auth_advertise_hosts = \${if eq{$tls_in_cipher}{}{}{*}}
acl_smtp_mail = check_mail
acl_smtp_rcpt = check_rcpt
acl_smtp_data = accept_all
smtp_accept_queue_per_connection = 0
received_header_text = Received: from $sender_helo_name by $primary_hostname with $received_protocol ($authenticated_id) id $message_exim_id

begin acl
accept_all:
  accept
check_mail:
  accept authenticated = *
  deny   message = log in first
check_rcpt:
  deny   domains = !+local_domains
         message = not from here
  deny  !verify  = recipient
         message = no such user here
  accept

begin routers
mailboxes:
  driver = accept
  domains = +local_domains
  local_parts = ${[...users, "köln"].join(" : ")}
  transport = maildir
unknown:
  driver = redirect
  domains = +local_domains
  allow_fail
  data = :fail: no such user here

begin transports
maildir:
  driver = appendfile
  directory = ${mail}/\${lookup{$local_part}lsearch{${folder}/users}}
  maildir_format
  return_path_add
  user = ${eximUser}
  group = ${eximUser}
  no_mode_fail_narrower

begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = \${if and{{eq{$auth2}{${account.user}}}{eq{$auth3}{\${lookup{$auth2}lsearch{${folder}/passwords}}}}}}
  server_set_id = $auth2
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = <| Username: | Password:
  server_condition = \${if and{{eq{$auth1}{${account.user}}}{eq{$auth2}{\${lookup{$auth1}lsearch{${folder}/passwords}}}}}}
  server_set_id = $auth1
cram:
  driver = cram_md5
  public_name = CRAM-MD5
  server_secret = \${lookup{$auth1}lsearch{${folder}/passwords}{$value}fail}
  server_set_id = $auth1
${cyrus.join("\n")}
external:
  driver = external
  public_name = EXTERNAL
  server_advertise_condition = \${if eq{$tls_in_certificate_verified}{1}}
  server_param2 = \${certextract{subject,CN}{$tls_in_peercert}}
  server_condition = \${if and{{eq{$tls_in_certificate_verified}{1}}{or{{eq{$auth1}{}}{eq{$auth1}{$auth2}}}}}}
  server_set_id = $auth2

begin retry
* * F,1h,1s
`;
}
