/**
 * Numbers of the NBD protocol, under the names that its specification gives them (NetworkBlockDevice/nbd, doc/proto.md).
 * Server and client share them. All integers on the wire are big-endian.
 */

/** 64-bit magic numbers as two halves. */
export const INIT_MAGIC_HIGH = 0x4e42444d;
export const INIT_MAGIC_LOW = 0x41474943;
export const OPTION_MAGIC_HIGH = 0x49484156;
export const OPTION_MAGIC_LOW = 0x454f5054;
export const OPTION_REPLY_MAGIC_HIGH = 0x0003e889;
export const OPTION_REPLY_MAGIC_LOW = 0x045565a9;

export const REQUEST_MAGIC = 0x25609513;
export const SIMPLE_REPLY_MAGIC = 0x67446698;
export const STRUCTURED_REPLY_MAGIC = 0x668e33ef;

export const enum HandshakeFlag {
  FixedNewstyle = 1,
  NoZeroes = 2,
}

export const enum TransmissionFlag {
  HasFlags = 1,
  ReadOnly = 1 << 1,
  SendFlush = 1 << 2,
  SendFua = 1 << 3,
  SendTrim = 1 << 5,
  SendWriteZeroes = 1 << 6,
  SendDf = 1 << 7,
  CanMultiConn = 1 << 8,
  SendCache = 1 << 10,
  SendFastZero = 1 << 11,
}

export const enum Option {
  ExportName = 1,
  Abort = 2,
  List = 3,
  StartTls = 5,
  Info = 6,
  Go = 7,
  StructuredReply = 8,
  ListMetaContext = 9,
  SetMetaContext = 10,
  ExtendedHeaders = 11,
}

export const enum OptionReply {
  Ack = 1,
  Server = 2,
  Info = 3,
  MetaContext = 4,
  ErrorUnsupported = 0x80000001,
  ErrorPolicy = 0x80000002,
  ErrorInvalid = 0x80000003,
  ErrorPlatform = 0x80000004,
  ErrorTlsRequired = 0x80000005,
  ErrorUnknown = 0x80000006,
  ErrorShutdown = 0x80000007,
  ErrorBlockSizeRequired = 0x80000008,
  ErrorTooBig = 0x80000009,
}

/** Every error reply has this bit. */
export const OPTION_ERROR = 0x80000000;

export const enum Info {
  Export = 0,
  Name = 1,
  Description = 2,
  BlockSize = 3,
}

export const enum Command {
  Read = 0,
  Write = 1,
  Disconnect = 2,
  Flush = 3,
  Trim = 4,
  Cache = 5,
  WriteZeroes = 6,
  BlockStatus = 7,
}

export const enum CommandFlag {
  Fua = 1,
  NoHole = 1 << 1,
  DontFragment = 1 << 2,
  RequestOne = 1 << 3,
  FastZero = 1 << 4,
}

export const enum ChunkFlag {
  Done = 1,
}

export const enum Chunk {
  None = 0,
  OffsetData = 1,
  OffsetHole = 2,
  BlockStatus = 5,
  Error = 0x8001,
  ErrorOffset = 0x8002,
}

/** Every error chunk has this bit. */
export const CHUNK_ERROR = 0x8000;

/** Flags of a descriptor in the context `base:allocation`. */
export const enum Allocation {
  Hole = 1,
  Zero = 2,
}

export const BASE_ALLOCATION = 'base:allocation';

export const enum ErrorCode {
  None = 0,
  Permission = 1,
  Io = 5,
  NoMemory = 12,
  Invalid = 22,
  NoSpace = 28,
  Overflow = 75,
  NotSupported = 95,
  Shutdown = 108,
}

export const OPTION_HEADER_BYTES = 16;
export const OPTION_REPLY_HEADER_BYTES = 20;
export const REQUEST_BYTES = 28;
export const SIMPLE_REPLY_BYTES = 16;
export const CHUNK_HEADER_BYTES = 20;

/** What a server takes from a client that asked for no block sizes, and both sides of ours keep to. */
export const PAYLOAD_BYTES_MAX = 32 * 1024 * 1024;
/** Longest name or query of the protocol. */
export const STRING_BYTES_MAX = 4096;
/** Zeros behind the flags in the reply to EXPORT_NAME, unless both sides do without. */
export const EXPORT_NAME_PADDING_BYTES = 124;
