/**
 * DKIM with Exim: what is signed here is verified by its DKIM ACL, and what it signs on the way out is verified here.
 *
 * Rules
 * 1. Exim asks the servers of /etc/resolv.conf at port 53 and can be told no other: it runs in a mount namespace with a resolv.conf of its
 *    own, which names a loopback address that this test alone listens on.
 * 2. It takes messages on its standard input and refuses each after DATA with what it found: nothing is queued.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, it } from "node:test";
import { txtStrings } from "../../src/message/dkim/key-tools.ts";
import { DkimSigner } from "../../src/message/dkim/signer.ts";
import { concat, utf8 } from "../../src/util/bytes.ts";
import { suiteCleanup } from "../support/cleanup.ts";
import { type DnsServer, startDnsServer } from "../support/dns-server.ts";
import { describeUnless, findProgram, missingAccount, type Ran, run, skipFor } from "../support/programs.ts";
import { startRecipient } from "../support/recipient.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { assertVerifiedHere, contents, ed, now, pems, records, rsa, type Sample, signedHere } from "./dkim-samples.ts";
import { eximUser } from "./exim.ts";
import { accountIds } from "./other-server.ts";

const programs = ["exim4", "unshare", "mount", "sh"].filter((name) => findProgram(name) === undefined);
const rights = process.getuid?.() === 0 && spawnSync("unshare", ["-m", "true"]).status === 0 ? [] : ["this user may not mount"];
const missing = skipFor([...programs.map((name) => `${name} is not installed`), ...missingAccount("passwd", eximUser), ...rights]);

/** Any address of 127/8 can be listened on; one that nobody else takes. */
function ownLoopback(): string {
  const octet = (): number => 1 + Math.floor(Math.random() * 253);
  return `127.${octet()}.${octet()}.${octet()}`;
}

/** Of an empty body Exim 4.96 hashes nothing in the simple form, on both sides; RFC 6376 3.4.3 wants CRLF, as all others here have it. */
const hashedOtherwise = (name: string, simpleBody: boolean): boolean => simpleBody && name.startsWith("an empty body");

describeUnless(missing, "Exim", () => {
  const suite = suiteCleanup();
  let folder: string;
  let server: DnsServer;

  before(async () => {
    server = await startDnsServer(Object.fromEntries(Object.entries(records).map(([name, text]) => [name, { TXT: [txtStrings(text)] }])), {
      address: ownLoopback(),
      port: 53,
    });
    suite.after(() => server.close());
    folder = tempFolder(suite, "postrider-exim-dkim-");
    chmodSync(folder, 0o755);
    const { uid, gid } = accountIds(eximUser);
    for (const name of ["spool", "log"]) {
      mkdirSync(join(folder, name));
      chownSync(join(folder, name), uid, gid);
    }
    writeFileSync(join(folder, "resolv.conf"), `nameserver ${server.address}\noptions attempts:1 timeout:5\n`);
    for (const [name, pem] of Object.entries(pems)) {
      writeFileSync(join(folder, `${name}.pem`), pem, { mode: 0o640 });
      chownSync(join(folder, `${name}.pem`), 0, gid);
    }
  });

  const exim = (config: string, args: readonly string[], input: Uint8Array | string): Promise<Ran> => {
    const path = join(folder, "exim.conf");
    writeFileSync(path, config, { mode: 0o640 });
    chownSync(path, 0, accountIds(eximUser).gid);
    const room = 'mount --bind "$1" /etc/resolv.conf && shift && exec "$@"';
    const program = findProgram("exim4") as string;
    return run("unshare", ["-m", "sh", "-c", room, "sh", join(folder, "resolv.conf"), program, "-C", path, ...args], { input });
  };

  const common = (): string => `exim_path = ${findProgram("exim4")}
exim_user = ${eximUser}
exim_group = ${eximUser}
keep_environment =
spool_directory = ${folder}/spool
log_file_path = ${folder}/log/%slog
primary_hostname = exim.test
disable_ipv6 = true
never_users =
host_lookup =
rfc1413_query_timeout = 0s
smtp_enforce_sync = false
accept_8bitmime = true
`;

  /** What its DKIM ACL says of each message: `rsa-sha256=pass() ed25519-sha256=pass()`. */
  async function verified(samples: readonly Sample[]): Promise<string[]> {
    const config = `${common()}acl_smtp_rcpt = take
acl_smtp_dkim = look
acl_smtp_data = tell
dkim_verify_signers = $dkim_signers
begin acl
take:
  accept
look:
  accept set acl_m_seen = $acl_m_seen $dkim_algo=$dkim_verify_status($dkim_verify_reason)
tell:
  deny message = seen:$acl_m_seen
`;
    const said: string[] = [];
    for (const { message } of samples) {
      const stuffed = Buffer.from(message).toString("latin1").replace(/^\./gm, "..");
      const dialogue = `EHLO test\r\nMAIL FROM:<a@example.com> BODY=8BITMIME\r\nRCPT TO:<b@exim.test>\r\nDATA\r\n${stuffed}.\r\nQUIT\r\n`;
      const { stdout, stderr } = await exim(config, ["-bs"], Buffer.from(dialogue, "latin1"));
      said.push(/^550 seen: ?(.*?)\r?$/m.exec(stdout)?.[1] ?? `${stdout}${stderr}`);
    }
    return said;
  }

  it("verifies what is signed here, with both keys and in all forms", async () => {
    const samples = signedHere().filter(({ name }) => !hashedOtherwise(name, name.endsWith("/simple")));
    const said = await verified(samples);
    for (const [i, { name }] of samples.entries())
      assert.deepEqual(said[i]?.split(" ").sort(), ["ed25519-sha256=pass()", "rsa-sha256=pass()"], name);
    assert.ok(server.count("TXT") > 0, "it has asked our DNS server");
  });

  it("sees that a message was changed, and that a key is not there", async () => {
    const content = utf8(contents["plain text"] as string);
    const sign = (): string => Buffer.from(concat([new DkimSigner({ keys: [rsa] }).sign([content], { now }), content])).toString();
    const absent = sign().replace("s=rsa", "s=none");
    const changed = [sign().replace("Hello", "Hullo"), sign().replace("Lunch", "Dinner"), absent].map((text, i) => ({
      name: String(i),
      message: utf8(text),
    }));
    const said = await verified(changed);
    assert.match(said[0] ?? "", /^rsa-sha256=fail\(bodyhash_mismatch\)$/);
    assert.match(said[1] ?? "", /^rsa-sha256=fail\(signature_incorrect\)$/);
    assert.match(said[2] ?? "", /^rsa-sha256=invalid\(pubkey_unavailable\)$/);
  });

  for (const canon of ["relaxed", "simple"]) {
    it(`signs what is verified here, ${canon}`, async (t) => {
      const recipient = await startRecipient(t, { plain: true });
      const config = `${common()}begin routers
out:
  driver = manualroute
  route_list = * ${recipient.host} byname
  self = send
  transport = signing
begin transports
signing:
  driver = smtp
  port = ${recipient.port}
  hosts_try_fastopen =
  dkim_domain = example.com
  dkim_selector = rsa : ed
  dkim_private_key = ${folder}/\${dkim_selector}.pem
  dkim_canon = ${canon}
  dkim_strict = 1
begin retry
* * F,1h,1s
`;
      const names = Object.keys(contents).filter((name) => !hashedOtherwise(name, canon === "simple"));
      for (const [i, name] of names.entries()) {
        const { code, stdout, stderr } = await exim(
          config,
          ["-odi", "-f", "alice@example.com", `to${i}@sink.test`],
          utf8(contents[name] as string),
        );
        assert.equal(code, 0, `${name}: ${stdout}${stderr}`);
      }
      const arrived = await Promise.all(names.map((_, i) => recipient.messageFor(`to${i}@sink.test`)));
      const samples = arrived.map(({ content }, i) => ({ name: names[i] as string, message: content }));
      await assertVerifiedHere(samples, [rsa.algorithm, ed.algorithm]);
    });
  }
});
