/**
 * A message before it is made: what `compose` is given.
 *
 * Rules
 * 1. Nothing here is opened, fetched or read from a file by itself: contents are bytes, texts, or sources that the caller opens.
 * 2. Text is written by its meaning, never as a header has it: encoding, quoting and folding are `compose`'s.
 */

/**
 * A list as a header has it (`Ann <a@b.test>, c@d.test`), or one address with its name apart. A name given apart may hold anything; in a list it is
 * quoted or encoded as RFC 5322 and RFC 2047 have it. Groups are taken apart; a group inside a group is an error.
 */
export type AddressInput = string | { readonly name?: string; readonly address: string };
export type AddressInputs = AddressInput | readonly AddressInput[];

/** Chunks in order. A string among them is taken as UTF-8. */
export type Chunks = AsyncIterable<Uint8Array | string> | Iterable<Uint8Array | string>;

/** A content that can be read more than once. */
export interface ReplayableSource {
  /** Octets, if they are known; a reading that gives another number fails. */
  readonly size?: number;
  /** Begins anew each time. */
  open(): Chunks;
}

/** A Blob or File of the web platform. */
export interface BlobSource {
  readonly size: number;
  stream(): AsyncIterable<Uint8Array> | ReadableSource;
}

/** A ReadableStream, also of a runtime where it cannot be iterated. */
export interface ReadableSource {
  getReader(): { read(): Promise<{ done: boolean; value?: Uint8Array | string | undefined }>; cancel(reason?: unknown): Promise<void> };
}

/**
 * Where a content comes from. A string is text and becomes UTF-8 unless `encoding` says otherwise. A stream that is no `ReplayableSource` can be read
 * once: the message is then not replayable.
 */
export type Source = string | Uint8Array | ReplayableSource | BlobSource | ReadableSource | AsyncIterable<Uint8Array | string>;

/** How a string holds octets. `utf-8` is the default. */
export type StringEncoding = "utf-8" | "base64" | "base64url" | "hex" | "latin1";

export type TransferEncoding = "7bit" | "8bit" | "binary" | "quoted-printable" | "base64";

/**
 * A value of a field: text, which is encoded and folded as need be; `prepared`, which is ASCII (or UTF-8 where the message is) in its final form, folds
 * allowed; a value with parameters; or addresses.
 */
export type HeaderValue =
  | string
  | { readonly prepared: string }
  | { readonly value: string; readonly parameters: Readonly<Record<string, string>> }
  | { readonly addresses: AddressInputs };

/** Fields in order, or by name. A name with a list of values stands as often as the list is long. */
export type HeaderInputs =
  | readonly { readonly name: string; readonly value: HeaderValue }[]
  | Readonly<Record<string, HeaderValue | readonly HeaderValue[]>>;

/** What a part says of itself, whatever it is. */
interface PartFields {
  /** How a string `content` holds octets. */
  readonly encoding?: StringEncoding;
  /**
   * Chosen by content where absent. An override is followed, and throws where the content does not allow it: `7bit` and `8bit` need lines of at
   * most 998 octets. With `8bit` or `binary` the message needs a server that takes it, whatever `accept` says.
   */
  readonly contentTransferEncoding?: TransferEncoding;
  /** Fields of the part beside Content-Type, -Transfer-Encoding, -Disposition and -ID. */
  readonly headers?: HeaderInputs;
}

export interface Attachment extends PartFields {
  /** Up to 1,024 characters. */
  readonly filename?: string;
  /** `type/subtype`, with parameters if need be; guessed by the name of the file where absent. */
  readonly contentType?: string;
  /** One of `content`, `dataUri` and `raw` is needed. */
  readonly content?: Source;
  /** `data:image/png;base64,...` (RFC 2397): content and, unless `contentType` is set, type. */
  readonly dataUri?: string;
  /** A whole MIME part, its header included, written as it is but for line ends. Beside it only `cid` says anything: where the part is put. */
  readonly raw?: Source;
  /** `attachment` where absent; `inline` where the HTML shows it by its `cid`. */
  readonly contentDisposition?: "attachment" | "inline";
  /** Set for an image that the HTML shows as `cid:...`: without angle brackets. */
  readonly cid?: string;
}

/** Another form of the text and the HTML: a reader takes the last that it can show (RFC 2046 5.1.4). */
export interface Alternative extends PartFields {
  readonly contentType: string;
  readonly content: Source;
}

/** An invitation or answer (RFC 6047): an alternative of type text/calendar, and a file for readers that know only those. */
export interface CalendarEvent {
  /** iCalendar (RFC 5545), UTF-8. */
  readonly content: string | Uint8Array;
  /** The content's own METHOD where absent, else `PUBLISH`. */
  readonly method?: string;
  /** `invite.ics` where absent; `false` attaches no file. */
  readonly filename?: string | false;
}

/** A web or mailto URL, or a mailbox, with a comment that people may read. */
export type ListUrl = string | { readonly url: string; readonly comment?: string };

/** Fields of mailing lists: RFC 2369, RFC 2919, RFC 8058. Several URLs of one field are in the order of preference. */
export interface ListFields {
  readonly help?: ListUrl | readonly ListUrl[];
  readonly unsubscribe?: ListUrl | readonly ListUrl[];
  /**
   * List-Unsubscribe-Post: the one https URL of `unsubscribe` takes a POST as RFC 8058 has it; without exactly one it throws. A DKIM signature has to
   * cover both fields.
   */
  readonly oneClick?: boolean;
  readonly subscribe?: ListUrl | readonly ListUrl[];
  /** `NO`: posting is not allowed. */
  readonly post?: ListUrl | readonly ListUrl[];
  readonly owner?: ListUrl | readonly ListUrl[];
  readonly archive?: ListUrl | readonly ListUrl[];
  /** `news.example.com`, with a name that people may read. */
  readonly id?: string | { readonly id: string; readonly name?: string };
}

/** Who it goes from and to on the wire, where that is not what the headers say. */
export interface EnvelopeInput {
  /** Where bounces go; `null` is `MAIL FROM:<>`. Sender, else the first of From, where absent. */
  readonly from?: AddressInput | null;
  /** To, Cc and Bcc where absent. */
  readonly to?: AddressInputs;
}

export interface Draft {
  readonly from: AddressInputs;
  /** Needed where From has several; bounces then go to it. */
  readonly sender?: AddressInput;
  readonly to?: AddressInputs;
  readonly cc?: AddressInputs;
  /** In the envelope, never in the content. */
  readonly bcc?: AddressInputs;
  readonly replyTo?: AddressInputs;
  readonly subject?: string;
  /** Milliseconds since 1970 UTC, or a Date; `options.now` where absent. */
  readonly date?: number | Date;
  /** `left@right`, with or without angle brackets; `options.messageId` where absent. */
  readonly messageId?: string;
  /** Message-IDs, with or without angle brackets, as a list or parted by blanks. */
  readonly inReplyTo?: string | readonly string[];
  readonly references?: string | readonly string[];
  /** Fields beside those that have a place of their own, in order. */
  readonly headers?: HeaderInputs;
  /** X-Priority, X-MSMail-Priority and Importance; `normal` writes none. */
  readonly priority?: "high" | "normal" | "low";
  readonly list?: ListFields;
  /** RFC 3834 5: for what no person has written, so that no robot answers. */
  readonly autoSubmitted?: "auto-generated" | "auto-replied" | "auto-notified";
  /** Where the reader's program is asked to confirm the reading (RFC 8098 2.1). */
  readonly dispositionNotificationTo?: AddressInputs;
  readonly text?: string;
  /**
   * How the text is laid out. `flowed`: its lines are paragraphs that readers wrap as they like (RFC 3676); `flowed-delsp`: also within words, for scripts
   * without spaces. Lines that begin with ">" are quotes.
   */
  readonly format?: "fixed" | "flowed" | "flowed-delsp";
  readonly html?: string;
  /** AMP for Email: stands between text and HTML, as its readers want it. */
  readonly amp?: string;
  readonly calendar?: CalendarEvent;
  /** Behind text, AMP, HTML and calendar, in order. */
  readonly alternatives?: readonly Alternative[];
  /** Up to 1,000. */
  readonly attachments?: readonly Attachment[];
  /** `data:` images in the HTML become parts that it shows by `cid:`. Off by default. */
  readonly attachDataUris?: boolean;
  /** For text, HTML, AMP and calendar; chosen by content where absent. */
  readonly textEncoding?: "quoted-printable" | "base64";
  readonly envelope?: EnvelopeInput;
  /**
   * Names the message for a server that knows Idempotency-Key, as Postrider does on submission: within 24 hours it queues it once for each recipient
   * and takes the field out. Other servers pass it on. Printable ASCII, up to 255 octets.
   */
  readonly idempotencyKey?: string;
}

/**
 * A message that is there already. Bcc and Resent-Bcc are left out of the copy that goes; lone CR and LF become CRLF. From a stream the envelope cannot be
 * read before: it must then be given.
 */
export interface RawDraft {
  readonly raw: Source;
  /** By the header where absent; `from` and `to` each by itself. */
  readonly envelope?: EnvelopeInput;
  /** `keep` for content that is binary on purpose (RFC 3030); `crlf` where absent. */
  readonly lineEnds?: "crlf" | "keep";
  /** As in a draft; the field is put in front. */
  readonly idempotencyKey?: string;
}

/** What the server takes, once it is known. */
export interface Accepted {
  /** RFC 6152: texts may go as 8bit. */
  readonly eightBitMime?: boolean;
  /** RFC 3030, with CHUNKING: attachments may go as they are. */
  readonly binaryMime?: boolean;
}
