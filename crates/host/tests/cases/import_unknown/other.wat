(component (import "acme:lights/switch@1.0.0" (instance (export "on" (func)))))
