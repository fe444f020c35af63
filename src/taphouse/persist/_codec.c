/* The codec, C twin of packer.py and unpacker.py: same bytes, same refusals, same tests.
 *
 * The bytes that are read may come from a stranger: every length is held against
 * the bytes that are left, entries owed to outer containers counted in; depth is
 * bounded; nothing is hashed but text, numbers and bytes.  Whatever is not one of
 * the plain builtins goes to a hook in Python.
 *
 * This file must never know SQLite, files or classes of an application.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>
#include <stdint.h>
#include <string.h>

#include "_leaves.h"
#include "_packing.h"
#include "_packer.h"
#include "_taking.h"
#include "_unpacking.h"
#include "_unpacker.h"

static PyObject *
wal_checksum(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer data;
    int little;
    unsigned int first, second;
    if (!PyArg_ParseTuple(args, "y*pII:wal_checksum", &data, &little, &first, &second))
        return NULL;
    const uint8_t *at = data.buf;
    for (Py_ssize_t left = data.len; left >= 8; left -= 8, at += 8) {
        uint32_t x, y;
        if (little) {
            x = (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
            y = (uint32_t)at[4] | (uint32_t)at[5] << 8 | (uint32_t)at[6] << 16 | (uint32_t)at[7] << 24;
        }
        else {
            x = (uint32_t)at[3] | (uint32_t)at[2] << 8 | (uint32_t)at[1] << 16 | (uint32_t)at[0] << 24;
            y = (uint32_t)at[7] | (uint32_t)at[6] << 8 | (uint32_t)at[5] << 16 | (uint32_t)at[4] << 24;
        }
        first += x + second;
        second += y + first;
    }
    PyBuffer_Release(&data);
    return Py_BuildValue("II", first, second);
}

/* install(Durable, TrackedList, TrackedDict): the types that are looked at without the hook. */
static PyObject *
install(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyTypeObject *durable, *list, *dict;
    Py_ssize_t limit;
    if (!PyArg_ParseTuple(args, "O!O!O!n:install", &PyType_Type, &durable, &PyType_Type, &list, &PyType_Type,
                          &dict, &limit))
        return NULL;
    Py_XSETREF(durable_type, (PyTypeObject *)Py_NewRef(durable));
    Py_XSETREF(tracked_list_type, (PyTypeObject *)Py_NewRef(list));
    Py_XSETREF(tracked_dict_type, (PyTypeObject *)Py_NewRef(dict));
    embedded_limit = limit;
    Py_RETURN_NONE;
}

static PyMethodDef codec_methods[] = {
    {"wal_checksum", wal_checksum, METH_VARARGS, "SQLite's running checksum over data."},
    {"install", install, METH_VARARGS, "Name the types that are written without asking the hook."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef codec_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "taphouse.persist._codec",
    .m_doc = "The codec, C twin of packer.py and unpacker.py.",
    .m_size = -1,
    .m_methods = codec_methods,
};

static PyObject *
fetch(const char *module, const char *name)
{
    PyObject *imported = PyImport_ImportModule(module);
    if (imported == NULL)
        return NULL;
    PyObject *found = PyObject_GetAttrString(imported, name);
    Py_DECREF(imported);
    return found;
}

PyMODINIT_FUNC
PyInit__codec(void)
{
    const char *packer = "taphouse.persist.packer";
    const char *codes = "taphouse.persist.codes";
    if ((pack_failure = fetch("taphouse.persist.leaves", "PackFailure")) == NULL || (as_builtin = fetch(packer, "AS_BUILTIN")) == NULL
        || (ext_type = fetch(packer, "Ext")) == NULL || (tagged_type = fetch(packer, "Tagged")) == NULL
        || (label_of = fetch(packer, "_label")) == NULL || (big_integer = fetch(codes, "big_integer")) == NULL
        || (items_of = fetch(packer, "_items_of")) == NULL || (ordered_dict = fetch("collections", "OrderedDict")) == NULL
        || (codec_error = fetch(codes, "CodecError")) == NULL)
        return NULL;
    if ((name_path = PyUnicode_InternFromString("path")) == NULL
        || (name_row = PyUnicode_InternFromString("_tap_row")) == NULL
        || (name_slots = PyUnicode_InternFromString("_tap_slots")) == NULL)
        return NULL;
    if (PyType_Ready(&Packer_Type) < 0 || PyType_Ready(&Unpacker_Type) < 0)
        return NULL;
    PyObject *module = PyModule_Create(&codec_module);
    if (module == NULL)
        return NULL;
    if (PyModule_AddObjectRef(module, "Packer", (PyObject *)&Packer_Type) < 0
        || PyModule_AddObjectRef(module, "Unpacker", (PyObject *)&Unpacker_Type) < 0) {
        Py_DECREF(module);
        return NULL;
    }
    return module;
}
