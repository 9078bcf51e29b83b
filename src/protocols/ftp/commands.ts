// The commands that are known: what each needs before it is done, and its syntax for HELP.

/** Somebody must have signed in. */
export const SIGNED = 1;
/** There must be something behind it. */
export const ARGUMENT = 2;
/** There must be nothing behind it. */
export const BARE = 4;
/** It uses a data connection. */
export const DATA = 8;
/** Not once the rest of the session is by EPSV alone (RFC 2428 §4). */
export const NOT_EPSV = 16;

const table: Record<string, number> = {
  // Access (RFC 959 §4.1.1, RFC 4217, RFC 7151).
  USER: ARGUMENT,
  PASS: 0,
  REIN: BARE,
  QUIT: BARE,
  HOST: ARGUMENT,
  AUTH: ARGUMENT,
  PBSZ: ARGUMENT,
  PROT: ARGUMENT,
  CCC: BARE,
  // What may be asked by anybody.
  NOOP: 0,
  SYST: BARE,
  FEAT: BARE,
  HELP: 0,
  OPTS: ARGUMENT,
  LANG: 0,
  CLNT: 0,
  // How data travel (RFC 959 §4.1.2, RFC 2428).
  TYPE: ARGUMENT,
  MODE: ARGUMENT,
  STRU: ARGUMENT,
  PASV: SIGNED | BARE | NOT_EPSV,
  EPSV: SIGNED,
  PORT: SIGNED | ARGUMENT | NOT_EPSV,
  EPRT: SIGNED | ARGUMENT | NOT_EPSV,
  REST: SIGNED | ARGUMENT,
  RANG: SIGNED | ARGUMENT,
  ALLO: SIGNED | ARGUMENT,
  ABOR: BARE,
  // Transfers.
  RETR: SIGNED | ARGUMENT | DATA,
  STOR: SIGNED | ARGUMENT | DATA,
  STOU: SIGNED | DATA,
  APPE: SIGNED | ARGUMENT | DATA,
  LIST: SIGNED | DATA,
  NLST: SIGNED | DATA,
  MLSD: SIGNED | DATA,
  // Files and folders.
  PWD: SIGNED | BARE,
  XPWD: SIGNED | BARE,
  CWD: SIGNED,
  XCWD: SIGNED,
  CDUP: SIGNED | BARE,
  XCUP: SIGNED | BARE,
  MKD: SIGNED | ARGUMENT,
  XMKD: SIGNED | ARGUMENT,
  RMD: SIGNED | ARGUMENT,
  XRMD: SIGNED | ARGUMENT,
  DELE: SIGNED | ARGUMENT,
  RNFR: SIGNED | ARGUMENT,
  RNTO: SIGNED | ARGUMENT,
  SIZE: SIGNED | ARGUMENT,
  MDTM: SIGNED | ARGUMENT,
  MFMT: SIGNED | ARGUMENT,
  MLST: SIGNED,
  HASH: SIGNED | ARGUMENT,
  STAT: 0,
  SITE: SIGNED | ARGUMENT,
};

export const COMMANDS: ReadonlyMap<string, number> = new Map(Object.entries(table));

/** Known, and not done here (RFC 959 §4.2: 502). */
export const NOT_DONE: ReadonlySet<string> = new Set(['ACCT', 'SMNT', 'ADAT', 'MIC', 'CONF', 'ENC', 'LPRT', 'LPSV']);
