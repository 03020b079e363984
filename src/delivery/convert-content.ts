/** Converts content for a next hop that cannot take it as it is. */
import type { Content } from "../mail/content.ts";

export type Converted = { readonly kind: "converted"; readonly content: Content } | { readonly kind: "impossible"; readonly why: string };

export async function convertContent(_content: Content, target: "7bit" | "8bit"): Promise<Converted> {
  return { kind: "impossible", why: `no conversion to ${target} yet` };
}
