"""Places an order and reads it back, by SOAP: all it knows is the WSDL."""
import sys

import zeep

orders = zeep.Client((sys.argv[1] if len(sys.argv) > 1 else "http://localhost:8080") + "/soap/example.v1.Orders?wsdl").service

placed = orders.Place(customer="soap", items=[{"sku": "tea", "quantity": 2}])
found = orders.Get(id=placed.id)
print(f"order {found.id} of {found.customer}, placed {found.placed:%H:%M}")

try:
    orders.Get(id="none")
except zeep.exceptions.Fault as fault:
    print(fault.message)
