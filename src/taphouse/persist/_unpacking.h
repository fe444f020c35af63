/* The reading half of the codec.  Included once, by _codec.c; twin of unpacker.py.
 */
#ifndef TAPHOUSE_UNPACKING_H
#define TAPHOUSE_UNPACKING_H

static PyObject *get(In *in, int depth);

static PyObject *
get_text(In *in, Py_ssize_t size)
{
    const uint8_t *data = take(in, size);
    if (data == NULL)
        return NULL;
    PyObject *text = PyUnicode_DecodeUTF8((const char *)data, size, NULL);
    if (text == NULL && PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) {
        PyErr_Clear();
        return refuse("text that is not UTF-8");
    }
    return text;
}

/* A short ASCII text that may have been read before. */
static PyObject *
get_name(In *in, Py_ssize_t size)
{
    if (size == 0 || size > CACHED_LENGTH || size > in->size - in->at - in->owed)
        return get_text(in, size);
    const uint8_t *data = in->data + in->at;
    uint32_t hash = 2166136261u;
    for (Py_ssize_t index = 0; index < size; index++)
        hash = (hash ^ data[index]) * 16777619u;
    PyObject **place = &in->unpacker->names[(hash ^ hash >> 16) % CACHED_NAMES];
    PyObject *cached = *place;
    if (cached != NULL && PyUnicode_GET_LENGTH(cached) == size
        && memcmp(PyUnicode_1BYTE_DATA(cached), data, (size_t)size) == 0) {
        in->at += size;
        return Py_NewRef(cached);
    }
    PyObject *text = get_text(in, size);
    if (text != NULL && PyUnicode_IS_ASCII(text))
        Py_XSETREF(*place, Py_NewRef(text));
    return text;
}

static PyObject *
get_reference(In *in, const uint8_t *payload, Py_ssize_t size)
{
    if (size != 1 && size != 2 && size != 4 && size != 8)
        return refuse("a number of %zd bytes", size);
    PyObject *oid = PyLong_FromUnsignedLongLong(big_endian(payload, (int)size));
    if (oid == NULL)
        return NULL;
    PyObject *rows = in->unpacker->rows, *found;
    if (PyDict_CheckExact(rows)) {
        found = PyDict_GetItemWithError(rows, oid);
        Py_XINCREF(found);
        if (found == NULL && !PyErr_Occurred())
            refuse("a reference to row %S, which does not exist", oid);
    }
    else {
        found = PyObject_GetItem(rows, oid);
        if (found == NULL && PyErr_ExceptionMatches(PyExc_KeyError)) {
            PyErr_Clear();
            refuse("a reference to row %S, which does not exist", oid);
        }
    }
    Py_DECREF(oid);
    return found;
}

/* Reads code, kind and payload of an extension. */
static const uint8_t *
take_extension(In *in, int *kind, Py_ssize_t *size)
{
    const uint8_t *code = take(in, 1);
    if (code == NULL)
        return NULL;
    if (*code >= 0xD4)
        *size = (Py_ssize_t)1 << (*code - 0xD4);
    else if (take_number(in, 1 << (*code - 0xC7), size) < 0)
        return NULL;
    const uint8_t *type = take(in, 1);
    if (type == NULL)
        return NULL;
    *kind = *type;
    return take(in, *size);
}

static PyObject *
get_extension(In *in)
{
    int kind;
    Py_ssize_t size;
    in->at--;
    const uint8_t *payload = take_extension(in, &kind, &size);
    if (payload == NULL)
        return NULL;
    if (kind == REF)
        return get_reference(in, payload, size);
    if (kind >= FIRST_TAG)
        return refuse("extension code %d outside the front of an array", kind);
    return PyObject_CallFunction(in->unpacker->scalar, "iy#", kind, (const char *)payload, size);
}

static int
is_tag_next(In *in)
{
    const uint8_t *data = in->data + in->at;
    Py_ssize_t left = in->size - in->at, place;
    if (data[0] >= 0xD4 && data[0] <= 0xD8)
        place = 1;
    else if (data[0] >= 0xC7 && data[0] <= 0xC9)
        place = 1 + ((Py_ssize_t)1 << (data[0] - 0xC7));
    else
        return 0;
    return place < left && data[place] >= FIRST_TAG && data[place] < 128;
}

static int
owe(In *in, Py_ssize_t count, int depth)
{
    if (depth >= MAX_READ_DEPTH) {
        refuse("nested more than %d levels deep", MAX_READ_DEPTH);
        return -1;
    }
    if (count > in->size - in->at - in->owed) {
        refuse("%zd entries promised at offset %zd, fewer bytes are left", count, in->at);
        return -1;
    }
    in->owed += count;
    return 0;
}

static PyObject *
get_items(In *in, Py_ssize_t count, int depth)
{
    PyObject *items = PyList_New(count);
    if (items == NULL)
        return NULL;
    for (Py_ssize_t index = 0; index < count; index++) {
        in->owed--;
        PyObject *item = get(in, depth + 1);
        if (item == NULL) {
            Py_DECREF(items);
            return NULL;
        }
        PyList_SET_ITEM(items, index, item);
    }
    return items;
}

static PyObject *
get_tagged(In *in, Py_ssize_t count, int depth)
{
    int kind;
    Py_ssize_t size;
    in->owed--;
    const uint8_t *payload = take_extension(in, &kind, &size);
    if (payload == NULL)
        return NULL;
    if (kind == TUPLE && size == 0) {
        PyObject *tuple = PyTuple_New(count - 1);
        if (tuple == NULL)
            return NULL;
        for (Py_ssize_t index = 0; index < count - 1; index++) {
            in->owed--;
            PyObject *item = get(in, depth + 1);
            if (item == NULL) {
                Py_DECREF(tuple);
                return NULL;
            }
            PyTuple_SET_ITEM(tuple, index, item);
        }
        return tuple;
    }
    PyObject *items = get_items(in, count - 1, depth);
    if (items == NULL)
        return NULL;
    PyObject *made = PyObject_CallFunction(in->unpacker->tagged, "iy#O", kind, (const char *)payload, size, items);
    Py_DECREF(items);
    return made;
}

static PyObject *
get_array(In *in, Py_ssize_t count, int depth)
{
    if (owe(in, count, depth) < 0)
        return NULL;
    if (count && is_tag_next(in))
        return get_tagged(in, count, depth);
    return get_items(in, count, depth);
}

static PyObject *
get_key(In *in, int depth)
{
    uint8_t code = in->data[in->at];
    if (code >= 0xA0 && code < 0xC0) {
        in->at++;
        return get_name(in, code & 0x1F);
    }
    PyObject *key = get(in, depth);
    if (key != NULL && !is_scalar_key(key)) {
        Py_DECREF(key);
        return refuse("a map with a key that is no number, text or bytes");
    }
    return key;
}

static PyObject *
get_map(In *in, Py_ssize_t count, int depth)
{
    if (count > PY_SSIZE_T_MAX / 2 || owe(in, 2 * count, depth) < 0)
        return NULL;
    PyObject *map = PyDict_New();
    if (map == NULL)
        return NULL;
    for (Py_ssize_t index = 0; index < count; index++) {
        in->owed--;
        PyObject *key = get_key(in, depth + 1), *value = NULL;
        if (key != NULL) {
            in->owed--;
            value = get(in, depth + 1);
        }
        if (value == NULL || PyDict_SetItem(map, key, value) < 0) {
            Py_XDECREF(key);
            Py_XDECREF(value);
            Py_DECREF(map);
            return NULL;
        }
        Py_DECREF(key);
        Py_DECREF(value);
    }
    if (PyDict_GET_SIZE(map) != count) {
        Py_DECREF(map);
        return refuse("a map with the same key twice");
    }
    return map;
}

static PyObject *
get_number(In *in, int code)
{
    int bytes = 1 << (code & 3);
    const uint8_t *data = take(in, bytes);
    if (data == NULL)
        return NULL;
    uint64_t number = big_endian(data, bytes);
    if (code < 0xD0)
        return PyLong_FromUnsignedLongLong(number);
    int shift = 64 - 8 * bytes;
    return PyLong_FromLongLong((int64_t)(number << shift) >> shift);
}

static PyObject *
get_bytes(In *in, Py_ssize_t size)
{
    const uint8_t *data = take(in, size);
    return data == NULL ? NULL : PyBytes_FromStringAndSize((const char *)data, size);
}

static PyObject *
get_wide(In *in, int code, int depth)
{
    Py_ssize_t size;
    const uint8_t *data;
    switch (code) {
    case 0xC0:
        Py_RETURN_NONE;
    case 0xC2:
        Py_RETURN_FALSE;
    case 0xC3:
        Py_RETURN_TRUE;
    case 0xC4: case 0xC5: case 0xC6:
        return take_number(in, 1 << (code - 0xC4), &size) < 0 ? NULL : get_bytes(in, size);
    case 0xC7: case 0xC8: case 0xC9: case 0xD4: case 0xD5: case 0xD6: case 0xD7: case 0xD8:
        return get_extension(in);
    case 0xCB:
        data = take(in, 8);
        return data == NULL ? NULL : PyFloat_FromDouble(PyFloat_Unpack8((const char *)data, 0));
    case 0xCC: case 0xCD: case 0xCE: case 0xCF: case 0xD0: case 0xD1: case 0xD2: case 0xD3:
        return get_number(in, code);
    case 0xD9: case 0xDA: case 0xDB:
        return take_number(in, 1 << (code - 0xD9), &size) < 0 ? NULL : get_text(in, size);
    case 0xDC: case 0xDD:
        return take_number(in, 2 << (code - 0xDC), &size) < 0 ? NULL : get_array(in, size, depth);
    case 0xDE: case 0xDF:
        return take_number(in, 2 << (code - 0xDE), &size) < 0 ? NULL : get_map(in, size, depth);
    default: /* 0xC1 never begins a value; 0xCA is a float of 32 bits, which no tap has */
        return refuse("byte 0x%x at offset %zd begins no value", code, in->at - 1);
    }
}

static PyObject *
get(In *in, int depth)
{
    const uint8_t *byte = take(in, 1);
    if (byte == NULL)
        return NULL;
    int code = *byte;
    if (code < 0x80)
        return PyLong_FromLong(code);
    if (code >= 0xE0)
        return PyLong_FromLong(code - 0x100);
    if (code < 0x90)
        return get_map(in, code & 0x0F, depth);
    if (code < 0xA0)
        return get_array(in, code & 0x0F, depth);
    if (code < 0xC0)
        return get_text(in, code & 0x1F);
    return get_wide(in, code, depth);
}

#endif
