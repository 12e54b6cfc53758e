(component (import "spin:key-value/key-value@3.0.0" (instance (export "open" (func (param "label" string))))))
