/**
 * The configuration, resolved, as types: what the rest of the program is given instead of a file.
 *
 * Rules
 * 1. Absolute paths, milliseconds, octets, parsed addresses, domains as keys; every default filled in.
 */
import type { SignatureAlgorithm } from "../accounts/index.ts";
import type { AuthenticationSettings, Network } from "../authentication/index.ts";
import type { PacingRule } from "../delivery/pacing.ts";
import type { DomainPattern, Route } from "../delivery/route.ts";
import type { ListenerKind } from "../mail/event.ts";
import type { Families } from "../net/resolver.ts";
import type { Forwards } from "../relay/forwarding.ts";
import type { LocalDomains } from "../relay/policy.ts";
import type { ReportOptions } from "../relay/reports/reporting.ts";
import type { SuppressionSettings } from "../relay/suppressing.ts";
import type { ServerOptions } from "../server/options.ts";
import type { ListenEndpoint } from "./kinds.ts";
import type { Tables } from "./schema.ts";

export interface ListenSetting {
  readonly kind: ListenerKind;
  readonly endpoint: ListenEndpoint;
}

export type TlsSetting =
  | { readonly kind: "self-signed" }
  /** Absolute paths. */
  | { readonly kind: "files"; readonly certificate: string; readonly key: string };

/** Logins by bearer token. */
export interface OauthSetting {
  readonly issuer: string;
  readonly audience: readonly string[];
  readonly claim: string;
  readonly algorithms: readonly SignatureAlgorithm[];
  readonly by: /** A URL, or an absolute path. */
    | { readonly kind: "keys"; readonly keys: URL | string }
    /** The secret is in the file, an absolute path. */
    | { readonly kind: "introspection"; readonly url: URL; readonly clientId: string; readonly clientSecretFile: string };
}

/** Logins by client certificate. */
export interface CertificateSetting {
  /** Absolute path. */
  readonly authorities: string;
  readonly account: "email" | "common-name";
}

export interface DeliverySettings {
  readonly port: number;
  readonly hostname: string;
  readonly sources: readonly string[];
  readonly pacing: readonly PacingRule[];
  readonly backOff: { readonly first: number; readonly longest: number };
  readonly families: Families;
  readonly concurrency: number;
  readonly connectionsPerDestination: number;
  readonly messagesPerConnection: number;
  readonly recipientsPerMessage: number;
  /** Milliseconds, as all that follow. */
  readonly connectTimeout: number;
  readonly keepConnection: number;
  readonly retry: readonly number[];
  readonly maxAge: number;
  readonly reportMaxAge: number;
  /** 0: none is sent. */
  readonly delayNotice: number;
  /** What is other for some domains; the first match wins. */
  readonly retryOf: readonly {
    readonly domain: DomainPattern;
    readonly intervals?: readonly number[] | undefined;
    readonly max_age?: number | undefined;
  }[];
}

/** As whom a route logs in; its secrets are in files, absolute paths. */
export interface LoginSetting {
  readonly user: string;
  readonly passwordFile: string | undefined;
  readonly token:
    | { readonly url: string; readonly clientId: string; readonly clientSecretFile: string | undefined; readonly refreshTokenFile: string }
    | undefined;
}

/** A key to sign with. */
export interface KeySetting {
  readonly domain: string;
  readonly selector: string;
  /** Absolute path of its file. */
  readonly key: string;
}

/** A key of [[dkim]], and how it signs. */
export interface SigningSetting extends KeySetting {
  readonly headerForm: "relaxed" | "simple";
  readonly bodyForm: "relaxed" | "simple";
}

/** What is checked on 25. */
export interface ChecksSetting {
  readonly settings: AuthenticationSettings;
  readonly blockLists: readonly string[];
  readonly exempt: readonly Network[];
  /** Milliseconds. */
  readonly timeout: number;
  readonly seal: KeySetting | undefined;
}

/** A database that several servers share. */
export interface SharedStoreSetting {
  /** May hold a password: never to be shown. */
  readonly url: string;
  /** Absolute path. */
  readonly passwordFile: string | undefined;
  readonly schema: string;
  readonly connections: number;
  /** Milliseconds. */
  readonly lease: number;
}

export interface Config {
  readonly hostname: string;
  /** Absolute path. */
  readonly data: string;
  readonly listen: readonly ListenSetting[];
  readonly tls: TlsSetting;
  readonly oauth: OauthSetting | undefined;
  readonly clientCertificates: CertificateSetting | undefined;
  readonly domains: LocalDomains;
  /** `servers` as createResolver takes them; absent: the system's. `timeout` in milliseconds. */
  readonly dns: { readonly servers?: readonly string[]; readonly timeout: number };
  readonly delivery: DeliverySettings;
  /** By mailbox key: where the mail of an address of ours goes on to. */
  readonly forwards: Forwards;
  readonly srsDomain: string | undefined;
  /** In the order of the file: the first match wins. */
  readonly routes: readonly Route[];
  /** As whom each of the routes logs in. */
  readonly logins: readonly (LoginSetting | undefined)[];
  /** What is done with a From that is not the account's. */
  readonly submissionFrom: "owned" | "rewrite" | "allow";
  /** Absent: what comes in on 25 is not checked. */
  readonly checks: ChecksSetting | undefined;
  /** Absent: nothing is reported, and nothing read. */
  readonly reports: ReportOptions | undefined;
  readonly dkim: readonly SigningSetting[];
  /** Absent: no account is kept from anything. */
  readonly suppression: SuppressionSettings | undefined;
  /** As SmtpServer takes them. */
  readonly server: ServerOptions;
  readonly queue: { readonly minimumFree: number; readonly shared: SharedStoreSetting | undefined };
  readonly log: Tables["log"];
  /** Milliseconds that what is under way may take after the signal to stop. */
  readonly drain: number;
}
