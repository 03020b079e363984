/**
 * Exim, installed or only unpacked, on a high port in a throw-away folder: a next hop, and a client of ours.
 *
 * Rules
 * 1. It uses nothing of the system's Exim but the user that Debian's is built for.
 * 2. A message for `grey` is put off once: it greylists.
 */
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { selfSignedCertificate } from "../../src/net/certificate.ts";
import { collect, findProgram, start } from "../support/programs.ts";
import { type Cleanup, tempFolder } from "../support/temp-folder.ts";
import { type Maildirs, makeMaildirs } from "./maildir.ts";
import { accountIds, type OtherServer, type OtherServerOptions, reachable } from "./other-server.ts";

/** Debian's Exim does not start without it. */
export const eximUser = "Debian-exim";

export async function startExim(t: Cleanup, options: OtherServerOptions): Promise<OtherServer> {
  const program = findProgram("exim4") as string;
  const folder = tempFolder(t, "postrider-exim-");
  chmodSync(folder, 0o755);
  const { uid, gid } = accountIds(eximUser);
  let log = (): string => "";
  const mail = makeMaildirs(t, { folder: join(folder, "mail"), users: options.users, uid, gid, log: () => log() });
  for (const name of ["spool", "log", "state"]) {
    mkdirSync(join(folder, name));
    chownSync(join(folder, name), uid, gid);
  }
  const { certificate, key } = selfSignedCertificate({ names: [options.hostname] });
  writeFileSync(join(folder, "certificate.pem"), certificate);
  writeFileSync(join(folder, "key.pem"), key, { mode: 0o640 });
  chownSync(join(folder, "key.pem"), 0, gid);
  // It runs as itself after the start, and has to read where we vouch for ourselves.
  writeFileSync(join(folder, "authority.pem"), readFileSync(options.submitTo.certificate));
  // A name from outside may not make a path: it is looked up.
  writeFileSync(join(folder, "users"), options.users.map((name) => `${name}: ${name}\n`).join(""));
  const config = join(folder, "exim.conf");
  writeFileSync(config, configuration(program, folder, mail, options), { mode: 0o640 });
  chownSync(config, 0, gid);
  const child = start(t, program, [
    "-C",
    config,
    "-bdf",
    "-q1m",
    "-oX",
    `[${options.address}]:${options.port}`,
    "-oP",
    join(folder, "pid"),
  ]);
  const out = collect(child.stdout);
  const err = collect(child.stderr);
  const logs = join(folder, "log");
  log = () => [out(), err(), ...readdirSync(logs).map((name) => readFileSync(join(logs, name), "utf8"))].join("\n");
  await reachable(options.address, options.port, child, log);
  return { mail };
}

function configuration(program: string, folder: string, mail: Maildirs, options: OtherServerOptions): string {
  const { submitTo, relayTo } = options;
  return `exim_path = ${program}
exim_user = ${eximUser}
exim_group = ${eximUser}
deliver_drop_privilege = true
keep_environment =
spool_directory = ${folder}/spool
log_file_path = ${folder}/log/%slog
primary_hostname = ${options.hostname}
disable_ipv6 = true
domainlist local_domains = ${options.domain}
hostlist relay_from = 127.0.0.0/8
never_users =
host_lookup =
helo_allow_chars = _
rfc1413_query_timeout = 0s
dsn_advertise_hosts = *
smtputf8_advertise_hosts = *
tls_advertise_hosts = *
tls_certificate = ${folder}/certificate.pem
tls_privatekey = ${folder}/key.pem
acl_smtp_rcpt = check_rcpt
acl_smtp_data = accept_all
received_header_text = Received: from $sender_helo_name by $primary_hostname with $received_protocol id $message_exim_id

begin acl
accept_all:
  accept
check_rcpt:
  defer   local_parts = grey
          condition   = \${if exists{${folder}/state/grey}{no}{yes}}
          condition   = \${run{/usr/bin/touch ${folder}/state/grey}{yes}{yes}}
          message     = greylisted, try again later
  deny    domains     = +local_domains
         !verify      = recipient
          message     = no such user here
  accept  hosts       = +relay_from

begin routers
mailboxes:
  driver = accept
  domains = +local_domains
  local_parts = ${options.users.join(" : ")}
  transport = maildir
unknown:
  driver = redirect
  domains = +local_domains
  allow_fail
  data = :fail: no such user here
relayed:
  driver = manualroute
  domains = ${relayTo.domain}
  route_list = * localhost byname
  self = send
  transport = relay
submitted:
  driver = manualroute
  route_list = * localhost byname
  self = send
  transport = submit

begin transports
maildir:
  driver = appendfile
  directory = ${mail.folder}/\${lookup{$local_part}lsearch{${folder}/users}}
  maildir_format
  envelope_to_add
  return_path_add
  user = ${eximUser}
  group = ${eximUser}
  no_mode_fail_narrower
relay:
  driver = smtp
  port = ${relayTo.port}
  interface = ${options.address}
  hosts_require_tls = *
  tls_verify_certificates = ${folder}/authority.pem
  tls_verify_hosts = *
submit:
  driver = smtp
  port = ${submitTo.port}
  interface = ${options.address}
  hosts_require_tls = *
  hosts_require_auth = *
  tls_verify_certificates = ${folder}/authority.pem
  tls_verify_hosts = *

begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  client_send = "^${submitTo.user}^${submitTo.password}"

begin retry
* * F,1h,1s
`;
}
