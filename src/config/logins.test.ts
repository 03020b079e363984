/** [accounts.oauth] and [accounts.certificates]: what is taken, what is wrong, and the files that they name. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { tempFolder } from "../../test/support/temp-folder.ts";
import { signatureAlgorithms } from "../accounts/index.ts";
import { selfSignedCertificate } from "../net/certificate.ts";
import { parseConfig } from "./config.ts";
import { formatProblems } from "./format.ts";
import { readConfig } from "./read-config.ts";
import type { Config } from "./settings.ts";

const head = 'hostname = "mail.example.test"\n';
const issuer = 'issuer = "https://login.test"\n';

function good(text: string): Config {
  const result = parseConfig(head + text, { folder: "/etc/postrider" });
  if (result.kind === "invalid") assert.fail(formatProblems("t.toml", result.problems));
  return result.config;
}

function bad(text: string): string {
  const result = parseConfig(head + text, { folder: "/" });
  return result.kind === "ok" ? "" : formatProblems("t.toml", result.problems).trimEnd();
}

describe("configuration: logins", () => {
  it("are by password alone without the tables", () => {
    const config = good("");
    assert.deepEqual([config.oauth, config.clientCertificates], [undefined, undefined]);
  });

  it("by token: keys of a URL or a file, or introspection", () => {
    const { oauth } = good(`[accounts.oauth]\n${issuer}keys = "https://login.test/jwks"\naudience = ["smtp"]\naccount_claim = "sub"`);
    assert.deepEqual(oauth, {
      issuer: "https://login.test",
      audience: ["smtp"],
      claim: "sub",
      algorithms: signatureAlgorithms,
      by: { kind: "keys", keys: new URL("https://login.test/jwks") },
    });
    const file = good(`[accounts]\noauth = { issuer = "i", keys = "jwks.json", algorithms = ["ES256"] }`).oauth;
    assert.deepEqual([file?.by, file?.algorithms, file?.claim], [{ kind: "keys", keys: "/etc/postrider/jwks.json" }, ["ES256"], "email"]);
    const asked = good(
      `[accounts.oauth]\n${issuer}introspection = "http://127.0.0.1:8080/i"\nclient_id = "mail"\nclient_secret_file = "s"`,
    ).oauth;
    assert.deepEqual(asked?.by, {
      kind: "introspection",
      url: new URL("http://127.0.0.1:8080/i"),
      clientId: "mail",
      clientSecretFile: "/etc/postrider/s",
    });
  });

  it("by certificate: an absolute path, and which name counts", () => {
    assert.deepEqual(good('[accounts.certificates]\nauthorities = "ca.pem"').clientCertificates, {
      authorities: "/etc/postrider/ca.pem",
      account: "email",
    });
    const { clientCertificates } = good('[accounts.certificates]\nauthorities = "/ca.pem"\naccount = "common-name"');
    assert.deepEqual(clientCertificates, { authorities: "/ca.pem", account: "common-name" });
  });

  it("what is missing or too much is told with its line", () => {
    assert.match(bad("[accounts.oauth]\n"), /t\.toml:2: accounts\.oauth: expected issuer[^\n]*\n.*expected keys or introspection/);
    assert.match(
      bad(`[accounts.oauth]\n${issuer}keys = "k"\nintrospection = "https://x.test"`),
      /:5: .*got both\n.*client_id and client_secret_file/,
    );
    assert.match(
      bad(`[accounts.oauth]\n${issuer}keys = "http://login.test/jwks"`),
      /:4: accounts\.oauth\.keys: expected an "https:\/\/" URL/,
    );
    assert.match(
      bad(`[accounts.oauth]\n${issuer}introspection = "http://login.test"`),
      /accounts\.oauth\.introspection: expected an "https:\/\/" URL/,
    );
    assert.match(bad(`[accounts.oauth]\n${issuer}introspection = "https://u:p@login.test"`), /expected an "https:\/\/" URL/);
    assert.match(
      bad(`[accounts.oauth]\n${issuer}keys = "k"\nalgorithms = ["HS256"]`),
      /accounts\.oauth\.algorithms\[0\]: expected "RS256"/,
    );
    assert.match(bad("[accounts.certificates]\n"), /accounts\.certificates: expected authorities/);
    assert.match(bad('[accounts.oauth]\nisuer = "x"'), /accounts\.oauth\.isuer.*accounts\.oauth\.issuer/);
    assert.match(bad('[accounts.oath]\nissuer = "x"'), /accounts\.oath/);
    assert.match(bad('[accounts]\nname = "x"'), /accounts\.name/);
    assert.match(bad("accounts = 7"), /accounts: expected a table, got 7/);
    assert.match(bad("[accounts]\noauth = 7"), /accounts\.oauth: expected a table, got 7/);
  });

  it("reads the files that are named, and says which of them is no good", (t) => {
    const folder = tempFolder(t);
    const path = join(folder, "postrider.toml");
    const write = (name: string, text: string) => writeFileSync(join(folder, name), text);
    const read = () => readConfig(path);
    const words = () => {
      const result = read();
      return result.kind === "invalid" ? formatProblems("p", result.problems) : "";
    };
    const certificates = '[accounts.certificates]\nauthorities = "ca.pem"\n';
    write("postrider.toml", `${head}[accounts.oauth]\n${issuer}keys = "jwks.json"\n${certificates}`);
    assert.match(words(), /authorities: there is no file .*ca\.pem\n.*keys: there is no file .*jwks\.json/);
    write("ca.pem", selfSignedCertificate({ names: ["a.test"] }).certificate);
    write("jwks.json", "{}");
    assert.match(words(), /ca\.pem: .* no authority's .*\n.*jwks\.json is no JWKS/);
    write("jwks.json", '{"keys": []}');
    write("postrider.toml", `${head}[accounts.oauth]\n${issuer}keys = "jwks.json"`);
    assert.equal(words(), "");
    write(
      "postrider.toml",
      `${head}[accounts.oauth]\n${issuer}introspection = "https://x.test"\nclient_id = "c"\nclient_secret_file = "s"`,
    );
    write("s", "\nsecret\n");
    assert.match(words(), /no secret in its first line/);
    write("s", " secret \nrest\n");
    const result = read();
    assert.deepEqual(result.kind === "ok" ? result.files : undefined, { clientSecret: "secret", keys: [], credentials: [] });
  });
});
