"""Places an order and reads it back, by gRPC. The modules are made from the .proto: see the README."""
import sys

import grpc
from example import v1_pb2, v1_pb2_grpc

channel = grpc.insecure_channel(sys.argv[1] if len(sys.argv) > 1 else "localhost:8080")
orders = v1_pb2_grpc.OrdersStub(channel)

placed = orders.Place(v1_pb2.NewOrder(customer="grpc", items=[v1_pb2.Item(sku="tea", quantity=2)]))
found = orders.Get(v1_pb2.GetRequest(id=placed.id))
print(f"order {found.id} of {found.customer}, placed {found.placed.ToDatetime():%H:%M}")

try:
    orders.Get(v1_pb2.GetRequest(id="none"))
except grpc.RpcError as error:
    print(error.code().name, error.details())

for order in orders.Watch(v1_pb2_grpc.google_dot_protobuf_dot_empty__pb2.Empty(), timeout=1):
    print("watched", order.id)
    break
