"""gRPC's public interoperability cases with Google's own client for Python, its types made from what reflection answers."""
import sys
import time
import threading

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

TARGET, REFLECTION = sys.argv[1], sys.argv[2]


class Types:
    """Messages out of a set of files."""

    def __init__(self):
        self.pool = descriptor_pool.DescriptorPool()
        self.files = {}

    def add(self, data):
        proto = descriptor_pb2.FileDescriptorProto.FromString(data)
        self.files[proto.name] = proto

    def settle(self):
        done = set()

        def put(name):
            if name in done:
                return
            done.add(name)
            for other in self.files[name].dependency:
                put(other)
            self.pool.Add(self.files[name])

        for name in list(self.files):
            put(name)

    def __call__(self, name):
        return message_factory.MessageFactory(self.pool).GetPrototype(self.pool.FindMessageTypeByName(name))


channel = grpc.insecure_channel(TARGET)
asking = Types()
with open(REFLECTION, 'rb') as file:
    for one in descriptor_pb2.FileDescriptorSet.FromString(file.read()).file:
        asking.add(one.SerializeToString())
asking.settle()


def reflect(version, requests):
    Request = asking(f'grpc.reflection.{version}.ServerReflectionRequest')
    Response = asking(f'grpc.reflection.{version}.ServerReflectionResponse')
    call = channel.stream_stream(
        f'/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo',
        request_serializer=Request.SerializeToString,
        response_deserializer=Response.FromString,
    )
    return list(call(iter([Request(host='here', **one) for one in requests]), timeout=20))


types = Types()


def case_reflection():
    version = 'v1'
    [answer] = reflect(version, [{'list_services': ''}])
    names = [one.name for one in answer.list_services_response.service]
    assert 'grpc.testing.TestService' in names and 'shop.v1.Orders' in names and 'grpc.health.v1.Health' in names, names
    assert answer.valid_host == 'here' and answer.original_request.list_services == ''
    wanted = [{'file_containing_symbol': name} for name in names] + [{'file_by_filename': 'google/protobuf/struct.proto'}]
    for one in reflect(version, wanted):
        assert one.HasField('file_descriptor_response'), one
        for data in one.file_descriptor_response.file_descriptor_proto:
            types.add(data)
    types.settle()
    for name in names:
        assert len(types.pool.FindServiceByName(name).methods) > 0
    missing = reflect(version, [{'file_containing_symbol': 'no.Such'}, {'file_by_filename': 'no.proto'}])
    assert [one.error_response.error_code for one in missing] == [5, 5]
    assert types.pool.FindFieldByName('shop.v1.Everything.maybe_text').has_presence
    assert not types.pool.FindFieldByName('shop.v1.Everything.text').has_presence


def method(kind, name, request, response, service='grpc.testing.TestService'):
    make = getattr(channel, kind)
    return make(
        f'/{service}/{name}',
        request_serializer=types(request).SerializeToString,
        response_deserializer=types(response).FromString,
    )


def t(name):
    return types(f'grpc.testing.{name}')


def unary():
    return method('unary_unary', 'UnaryCall', 'grpc.testing.SimpleRequest', 'grpc.testing.SimpleResponse')


def duplex():
    names = 'grpc.testing.StreamingOutputCallRequest', 'grpc.testing.StreamingOutputCallResponse'
    return method('stream_stream', 'FullDuplexCall', *names)


def refused(call, code, details=None):
    try:
        call()
    except grpc.RpcError as error:
        assert error.code() == code, error
        assert details is None or error.details() == details, error.details()
        return error
    raise AssertionError('it was not refused')


def payload(size):
    return t('Payload')(body=bytes(size))


def ask(size, body=0, interval=0):
    parameters = [t('ResponseParameters')(size=size, interval_us=interval)]
    return t('StreamingOutputCallRequest')(response_parameters=parameters, payload=payload(body))


def case_empty_unary():
    call = method('unary_unary', 'EmptyCall', 'grpc.testing.Empty', 'grpc.testing.Empty')
    assert call(t('Empty')(), timeout=10) == t('Empty')()


def case_large_unary():
    answer = unary()(t('SimpleRequest')(response_size=314159, payload=payload(271828)), timeout=10)
    assert len(answer.payload.body) == 314159


def case_client_compressed_unary():
    request = t('SimpleRequest')(response_size=314159, payload=payload(271828))
    answer, call = unary().with_call(request, timeout=10, compression=grpc.Compression.Gzip)
    assert len(answer.payload.body) == 314159
    answer = unary()(request, timeout=10, compression=grpc.Compression.Deflate)
    assert len(answer.payload.body) == 314159


def case_client_streaming():
    names = 'grpc.testing.StreamingInputCallRequest', 'grpc.testing.StreamingInputCallResponse'
    call = method('stream_unary', 'StreamingInputCall', *names)
    for compression in (None, grpc.Compression.Gzip):
        requests = [t('StreamingInputCallRequest')(payload=payload(size)) for size in (27182, 8, 1828, 45904)]
        assert call(iter(requests), timeout=10, compression=compression).aggregated_payload_size == 74922


def case_server_streaming():
    names = 'grpc.testing.StreamingOutputCallRequest', 'grpc.testing.StreamingOutputCallResponse'
    call = method('unary_stream', 'StreamingOutputCall', *names)
    sizes = [31415, 9, 2653, 58979]
    for compression in (None, grpc.Compression.Gzip):
        parameters = [t('ResponseParameters')(size=size) for size in sizes]
        request = t('StreamingOutputCallRequest')(response_parameters=parameters)
        assert [len(one.payload.body) for one in call(request, timeout=10, compression=compression)] == sizes


def case_ping_pong():
    turn = threading.Semaphore(1)

    def requests():
        for size, body in ((31415, 27182), (9, 8), (2653, 1828), (58979, 45904)):
            turn.acquire()
            yield ask(size, body)

    got = []
    for one in duplex()(requests(), timeout=10):
        got.append(len(one.payload.body))
        turn.release()
    assert got == [31415, 9, 2653, 58979]


def case_empty_stream():
    assert list(duplex()(iter([]), timeout=10)) == []


def case_custom_metadata():
    metadata = (('x-grpc-test-echo-initial', 'test_initial_metadata_value'), ('x-grpc-test-echo-trailing-bin', b'\x0a\x0b\x0a\x0b\x0a\x0b'))

    def check(call):
        assert dict(call.initial_metadata())['x-grpc-test-echo-initial'] == 'test_initial_metadata_value'
        assert dict(call.trailing_metadata())['x-grpc-test-echo-trailing-bin'] == b'\x0a\x0b\x0a\x0b\x0a\x0b'

    request = t('SimpleRequest')(response_size=314159, payload=payload(271828))
    _, call = unary().with_call(request, metadata=metadata, timeout=10)
    check(call)
    call = duplex()(iter([ask(314159, 271828)]), metadata=metadata, timeout=10)
    assert [len(one.payload.body) for one in call] == [314159]
    check(call)


def status(code, message):
    request = t('SimpleRequest')(response_status=t('EchoStatus')(code=code, message=message))
    refused(lambda: unary()(request, timeout=10), grpc.StatusCode.UNKNOWN, message)
    request = t('StreamingOutputCallRequest')(response_status=t('EchoStatus')(code=code, message=message))
    refused(lambda: list(duplex()(iter([request]), timeout=10)), grpc.StatusCode.UNKNOWN, message)


def case_status_code_and_message():
    status(2, 'test status message')


def case_special_status_message():
    status(2, '\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n')


def case_unimplemented_method():
    call = method('unary_unary', 'UnimplementedCall', 'grpc.testing.Empty', 'grpc.testing.Empty')
    refused(lambda: call(t('Empty')(), timeout=10), grpc.StatusCode.UNIMPLEMENTED)


def case_unimplemented_service():
    call = method('unary_unary', 'UnimplementedCall', 'grpc.testing.Empty', 'grpc.testing.Empty', 'grpc.testing.UnimplementedService')
    refused(lambda: call(t('Empty')(), timeout=10), grpc.StatusCode.UNIMPLEMENTED)


def case_cancel_after_begin():
    names = 'grpc.testing.StreamingInputCallRequest', 'grpc.testing.StreamingInputCallResponse'
    wait = threading.Event()

    def requests():
        wait.wait()
        yield t('StreamingInputCallRequest')()

    call = method('stream_unary', 'StreamingInputCall', *names).future(requests())
    call.cancel()
    wait.set()
    assert call.cancelled() and call.code() is grpc.StatusCode.CANCELLED


def case_cancel_after_first_response():
    wait = threading.Event()

    def requests():
        yield ask(31415, 27182)
        wait.wait()

    call = duplex()(requests())
    assert len(next(call).payload.body) == 31415
    call.cancel()
    refused(lambda: next(call), grpc.StatusCode.CANCELLED)
    wait.set()


def case_timeout_on_sleeping_server():
    wait = threading.Event()

    def requests():
        yield ask(31415, 27182, 500_000)
        wait.wait(5)

    refused(lambda: list(duplex()(requests(), timeout=0.05)), grpc.StatusCode.DEADLINE_EXCEEDED)
    wait.set()


def case_health():
    Request, Response = types('grpc.health.v1.HealthCheckRequest'), types('grpc.health.v1.HealthCheckResponse')
    names = 'grpc.health.v1.HealthCheckRequest', 'grpc.health.v1.HealthCheckResponse'
    check = method('unary_unary', 'Check', *names, service='grpc.health.v1.Health')
    assert check(Request(), timeout=10).status == 1
    assert check(Request(service='grpc.testing.TestService'), timeout=10).status == 1
    refused(lambda: check(Request(service='no.Such'), timeout=10), grpc.StatusCode.NOT_FOUND)
    watch = method('unary_stream', 'Watch', *names, service='grpc.health.v1.Health')
    call = watch(Request(service='no.Such'))
    assert next(call).status == 3
    call.cancel()


def case_reflection_v1alpha():
    [answer] = reflect('v1alpha', [{'list_services': ''}])
    assert 'grpc.testing.TestService' in [one.name for one in answer.list_services_response.service]


for name, run in [(name, run) for name, run in list(globals().items()) if name.startswith('case_')]:
    begun = time.time()
    try:
        run()
        print(f'ok {name[5:]}', flush=True)
    except BaseException as error:
        print(f'failed {name[5:]}: {error!r}', flush=True)
channel.close()
