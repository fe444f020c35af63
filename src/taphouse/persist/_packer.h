/* The type Packer.  Included once, by _codec.c. */
#ifndef TAPHOUSE_PACKER_H
#define TAPHOUSE_PACKER_H

static PyObject *
finish(Out *out, int result)
{
    PyObject *bytes = result < 0 ? NULL : PyBytes_FromStringAndSize(out->data, out->size);
    PyMem_Free(out->data);
    return bytes;
}

static PyObject *
packer_pack(Packer *self, PyObject *value)
{
    Out out = {NULL, 0, 0};
    return finish(&out, put(self, &out, value, 0));
}

static PyObject *
packer_pack_shape(Packer *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "pack_shape(value, shape)");
        return NULL;
    }
    Out out = {NULL, 0, 0};
    return finish(&out, put_shape(self, &out, args[0], args[1], 0));
}

/* An array of arrays of what is in a list of tuples. */
static PyObject *
packer_pack_operations(Packer *self, PyObject *ops)
{
    if (!PyList_Check(ops)) {
        PyErr_SetString(PyExc_TypeError, "pack_operations(list)");
        return NULL;
    }
    Out out = {NULL, 0, 0};
    Py_ssize_t count = PyList_GET_SIZE(ops);
    int result = put_head(&out, count, 0x90, 0xDC);
    for (Py_ssize_t index = 0; result == 0 && index < count; index++) {
        PyObject *op = index < PyList_GET_SIZE(ops) ? PyList_GET_ITEM(ops, index) : NULL;
        if (op == NULL || !PyTuple_CheckExact(op)) {
            PyErr_SetString(PyExc_TypeError, "an operation is a tuple");
            result = -1;
            break;
        }
        Py_INCREF(op);
        Py_ssize_t size = PyTuple_GET_SIZE(op);
        result = put_head(&out, size, 0x90, 0xDC);
        if (result == 0)
            result = put_items(self, &out, op, size, 1);
        Py_DECREF(op);
        if (result < 0)
            (void)add_index(index);
    }
    return finish(&out, result);
}

static inline int
is_volatile(PyObject *name)
{
    return PyUnicode_GET_LENGTH(name) >= 3 && PyUnicode_READ_CHAR(name, 0) == '_' && PyUnicode_READ_CHAR(name, 1) == 'v'
           && PyUnicode_READ_CHAR(name, 2) == '_';
}

static int
put_state(Packer *self, Out *out, PyObject *state)
{
    PyObject *name, *value;
    Py_ssize_t position = 0, count = 0, written = 0;
    while (PyDict_Next(state, &position, &name, NULL)) {
        if (!PyUnicode_Check(name)) {
            PyErr_SetString(PyExc_TypeError, "a name of an attribute is no text");
            return -1;
        }
        count += !is_volatile(name);
    }
    if (put_head(out, count, 0x80, 0xDE) < 0)
        return -1;
    for (position = 0; PyDict_Next(state, &position, &name, &value);) {
        if (is_volatile(name))
            continue;
        Py_INCREF(name);
        Py_INCREF(value);
        int result = put_text(out, name);
        if (result == 0 && (result = put(self, out, value, 1)) < 0) {
            PyObject *type, *failure, *trace;
            PyErr_Fetch(&type, &failure, &trace);
            PyObject *step = PyUnicode_FromFormat(".%U", name);
            PyErr_Clear();
            PyErr_Restore(type, failure, trace);
            (void)add_step(step);
        }
        Py_DECREF(name);
        Py_DECREF(value);
        if (result < 0)
            return -1;
        written++;
    }
    return written == count ? 0 : fail("an object that changed while it was written");
}

static PyObject *
packer_pack_state(Packer *self, PyObject *state)
{
    if (!PyDict_Check(state)) {
        PyErr_SetString(PyExc_TypeError, "pack_state(dict)");
        return NULL;
    }
    Out out = {NULL, 0, 0};
    return finish(&out, put_state(self, &out, state));
}

static int
packer_init(Packer *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"hook", "numbers", "found", "embeds", NULL};
    PyObject *hook, *numbers = Py_None, *found = Py_None;
    int embeds = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|$OOp:Packer", names, &hook, &numbers, &found, &embeds))
        return -1;
    if (numbers != Py_None && (!PyDict_CheckExact(numbers) || !PyList_CheckExact(found))) {
        PyErr_SetString(PyExc_TypeError, "numbers and found must be a dict and a list, or None");
        return -1;
    }
    Py_XSETREF(self->hook, Py_NewRef(hook));
    Py_XSETREF(self->numbers, numbers == Py_None ? NULL : Py_NewRef(numbers));
    Py_XSETREF(self->found, found == Py_None ? NULL : Py_NewRef(found));
    self->embeds = embeds && tracked_list_type != NULL;
    return 0;
}

static int
packer_traverse(Packer *self, visitproc visit, void *arg)
{
    Py_VISIT(self->hook);
    Py_VISIT(self->numbers);
    Py_VISIT(self->found);
    return 0;
}

static int
packer_clear(Packer *self)
{
    Py_CLEAR(self->hook);
    Py_CLEAR(self->numbers);
    Py_CLEAR(self->found);
    return 0;
}

static void
packer_dealloc(Packer *self)
{
    PyObject_GC_UnTrack(self);
    (void)packer_clear(self);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMethodDef packer_methods[] = {
    {"pack", (PyCFunction)packer_pack, METH_O, "Return a value as bytes."},
    {"pack_operations", (PyCFunction)packer_pack_operations, METH_O, "Return operations, tuples, as an array of arrays."},
    {"pack_shape", (PyCFunction)(void (*)(void))packer_pack_shape, METH_FASTCALL,
     "Return a value as bytes, in the shape a hook would have answered."},
    {"pack_state", (PyCFunction)packer_pack_state, METH_O, "Return the attributes of an object as a map."},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject Packer_Type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "taphouse.persist._codec.Packer",
    .tp_basicsize = sizeof(Packer),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_doc = "Writes values as MessagePack.",
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)packer_init,
    .tp_traverse = (traverseproc)packer_traverse,
    .tp_clear = (inquiry)packer_clear,
    .tp_dealloc = (destructor)packer_dealloc,
    .tp_methods = packer_methods,
};

#endif
