// The samples of RFC 9001 appendix A and RFC 9369 appendix A, which differ in their values alone. Of the 1,200 bytes of a
// client's Initial stand the header, the first bytes and the tag, which is over all of them.
import { VERSION_1, VERSION_2, type Version } from '../../crypto.ts';

export interface Keys {
  readonly secret: string;
  readonly key: string;
  readonly iv: string;
  readonly hp: string;
}

export interface Sample {
  readonly spec: string;
  readonly version: Version;
  readonly initialSecret: string;
  readonly labels: Readonly<Record<'key' | 'iv' | 'hp', string>>;
  readonly client: Keys;
  readonly server: Keys;
  readonly clientHeader: string;
  readonly clientSample: string;
  readonly clientProtected: string;
  readonly clientTag: string;
  readonly serverHeader: string;
  readonly serverPacket: string;
  readonly retry: string;
  readonly chacha: Keys & { readonly update: string; readonly packet: string };
}

export const CONNECTION_ID = '8394c8f03e515708';

/** A.2: behind it PADDING up to 1,162 bytes. */
export const CLIENT_PAYLOAD =
  '060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e86804fe3a47f06a2b69484c00000413011302010000c0' +
  '00000010000e00000b6578616d706c652e636f6dff01000100000a00080006001d0017001800100007000504616c706e0005000501' +
  '00000000003300260024001d00209370b2c9caa47fbabaf4559fedba753de171fa71f50f1ce15d43e994ec74d748002b0003020304' +
  '000d0010000e0403050306030203080408050806002d00020101001c00024001003900320408ffffffffffffffff05048000ffff07' +
  '048000ffff0801100104800075300901100f088394c8f03e51570806048000ffff';

/** A.3. */
export const SERVER_PAYLOAD =
  '02000000000600405a020000560303eefce7f7b37ba1d1632e96677825ddf73988cfc79825df566dc5430b9a045a12001301' +
  '00002e00330024001d00209d3c940d89690b84d08a60993c144eca684d1081287c834d5311bcf32bb9da1a002b00020304';

const CHACHA_SECRET = '9ac312a7f877468ebe69422748ad00a15443f18203a07d6060f688f30f21632b';

export const SAMPLES: readonly Sample[] = [
  {
    spec: 'RFC 9001',
    version: VERSION_1,
    initialSecret: '7db5df06e7a69e432496adedb00851923595221596ae2ae9fb8115c1e9ed0a44',
    labels: {
      key: '00100e746c7331332071756963206b657900',
      iv: '000c0d746c733133207175696320697600',
      hp: '00100d746c733133207175696320687000',
    },
    client: {
      secret: 'c00cf151ca5be075ed0ebfb5c80323c42d6b7db67881289af4008f1f6c357aea',
      key: '1f369613dd76d5467730efcbe3b1a22d',
      iv: 'fa044b2f42a3fd3b46fb255c',
      hp: '9f50449e04a0e810283a1e9933adedd2',
    },
    server: {
      secret: '3c199828fd139efd216c155ad844cc81fb82fa8d7446fa7d78be803acdda951b',
      key: 'cf3a5331653c364c88f0f379b6067e37',
      iv: '0ac1493ca1905853b0bba03e',
      hp: 'c206b8d9b9f0f37644430b490eeaa314',
    },
    clientHeader: 'c300000001088394c8f03e5157080000449e00000002',
    clientSample: 'd1b1c98dd7689fb8ec11d242b123dc9b',
    clientProtected: 'c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11d242b123dc9bd8bab936b47d92ec356c',
    clientTag: 'e221af44860018ab0856972e194cd934',
    serverHeader: 'c1000000010008f067a5502a4262b50040750001',
    serverPacket:
      'cf000000010008f067a5502a4262b5004075c0d95a482cd0991cd25b0aac406a5816b6394100f37a1c69797554780bb38cc5a99f5ede4c' +
      'f73c3ec2493a1839b3dbcba3f6ea46c5b7684df3548e7ddeb9c3bf9c73cc3f3bded74b562bfb19fb84022f8ef4cdd93795d77d06edbb7a' +
      'af2f58891850abbdca3d20398c276456cbc42158407dd074ee',
    retry: 'ff000000010008f067a5502a4262b5746f6b656e04a265ba2eff4d829058fb3f0f2496ba',
    chacha: {
      secret: CHACHA_SECRET,
      key: 'c6d98ff3441c3fe1b2182094f69caa2ed4b716b65488960a7a984979fb23e1c8',
      iv: 'e0459b3474bdd0e44a41c144',
      hp: '25a282b9e82f06f21f488917a4fc8f1b73573685608597d0efcb076b0ab7a7a4',
      update: '1223504755036d556342ee9361d253421a826c9ecdf3c7148684b36b714881f9',
      packet: '4cfe4189655e5cd55c41f69080575d7999c25a5bfb',
    },
  },
  {
    spec: 'RFC 9369',
    version: VERSION_2,
    initialSecret: '2062e8b3cd8d52092614b8071d0aa1fb7c2e3ac193f78b280e72d8f5751f6aba',
    labels: {
      key: '001010746c73313320717569637632206b657900',
      iv: '000c0f746c7331332071756963763220697600',
      hp: '00100f746c7331332071756963763220687000',
    },
    client: {
      secret: '14ec9d6eb9fd7af83bf5a668bc17a7e283766aade7ecd0891f70f9ff7f4bf47b',
      key: '8b1a0bc121284290a29e0971b5cd045d',
      iv: '91f73e2351d8fa91660e909f',
      hp: '45b95e15235d6f45a6b19cbcb0294ba9',
    },
    server: {
      secret: '0263db1782731bf4588e7e4d93b7463907cb8cd8200b5da55a8bd488eafc37c1',
      key: '82db637861d55e1d011f19ea71d5d2a7',
      iv: 'dd13c276499c0249d3310652',
      hp: 'edf6d05c83121201b436e16877593c3a',
    },
    clientHeader: 'd36b3343cf088394c8f03e5157080000449e00000002',
    clientSample: 'ffe67b6abcdb4298b485dd04de806071',
    clientProtected: 'd76b3343cf088394c8f03e5157080000449ea0c95e82ffe67b6abcdb4298b485dd04de806071bf03dceebfa162e75d6c',
    clientTag: 'a18b2faa745b6fe189cf772a9f84cbfc',
    serverHeader: 'd16b3343cf0008f067a5502a4262b50040750001',
    serverPacket:
      'dc6b3343cf0008f067a5502a4262b5004075d92faaf16f05d8a4398c47089698baeea26b91eb761d9b89237bbf87263017915358230035' +
      'f7fd3945d88965cf17f9af6e16886c61bfc703106fbaf3cb4cfa52382dd16a393e42757507698075b2c984c707f0a0812d8cd5a6881eaf' +
      '21ceda98f4bd23f6fe1a3e2c43edd9ce7ca84bed8521e2e140',
    retry: 'cf6b3343cf0008f067a5502a4262b5746f6b656ec8646ce8bfe33952d955543665dcc7b6',
    chacha: {
      secret: CHACHA_SECRET,
      key: '3bfcddd72bcf02541d7fa0dd1f5f9eeea817e09a6963a0e6c7df0f9a1bab90f2',
      iv: 'a6b5bc6ab7dafce30ffff5dd',
      hp: 'd659760d2ba434a226fd37b35c69e2da8211d10c4f12538787d65645d5d1b8e2',
      update: 'c69374c49e3d2a9466fa689e49d476db5d0dfbc87d32ceeaa6343fd0ae4c7d88',
      packet: '5558b1c60ae7b6b932bc27d786f4bc2bb20f2162ba',
    },
  },
];
