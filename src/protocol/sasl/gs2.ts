/**
 * The GS2 header (RFC 5801 4), with which SCRAM and OAUTHBEARER begin: whether the login is bound to its TLS session, and whom to act as.
 *
 * Rules
 * 1. Strict: what the grammar of RFC 5802 7 does not have is `undefined`.
 */

/** n: the client cannot bind. y: it could, and believes that the server cannot. bound: it does, by the type of this name. */
export type BindingFlag = { readonly kind: "n" } | { readonly kind: "y" } | { readonly kind: "bound"; readonly type: string };

export interface Gs2Header {
  readonly flag: BindingFlag;
  /** "" where there is none. */
  readonly authorization: string;
  /** As it was written, with its second comma. */
  readonly text: string;
}

export function gs2Header(flag: BindingFlag, authorization: string): string {
  const name = authorization === "" ? "" : `a=${encodeSaslName(authorization)}`;
  return `${flag.kind === "bound" ? `p=${flag.type}` : flag.kind},${name},`;
}

/** The header at the beginning of `message`. */
export function parseGs2Header(message: string): Gs2Header | undefined {
  const [text, flag, type, name] = /^(?:([ny])|p=([A-Za-z0-9.-]+)),(?:a=([^,]*))?,/.exec(message) ?? [];
  if (text === undefined) return undefined;
  const authorization = name === undefined ? "" : decodeSaslName(name);
  if (authorization === undefined) return undefined;
  return { flag: type === undefined ? { kind: flag as "n" | "y" } : { kind: "bound", type }, authorization, text };
}

/** RFC 5802 5.1: "," and "=" have another form within a name. */
export function encodeSaslName(name: string): string {
  return name.replaceAll("=", "=3D").replaceAll(",", "=2C");
}

/** `undefined` where it is no saslname: empty, with NUL or a comma, or with "=" that is none of the two. */
export function decodeSaslName(text: string): string | undefined {
  if (text === "" || /[\0,]|=(?!2C|3D)/.test(text)) return undefined;
  return text.replace(/=(2C|3D)/g, (_, code) => (code === "2C" ? "," : "="));
}
