/* Bytes and the values that have no parts.  Included once, by _codec.c; twin of the end of packer.py. */
#ifndef TAPHOUSE_LEAVES_H
#define TAPHOUSE_LEAVES_H

#define REF 1
#define BIGINT 2
#define TEXT 3
#define TUPLE 32
#define SET 33
#define FROZENSET 34
#define PAIRS 39

static PyObject *pack_failure, *big_integer;

/* ---- bytes ------------------------------------------------------------ */

typedef struct {
    char *data;
    Py_ssize_t size;
    Py_ssize_t room;
} Out;

static int
out_grow(Out *out, Py_ssize_t more)
{
    if (more > PY_SSIZE_T_MAX / 2 - out->size) {
        PyErr_NoMemory();
        return -1;
    }
    Py_ssize_t room = out->room * 2 > out->size + more ? out->room * 2 : out->size + more + 256;
    char *data = PyMem_Realloc(out->data, (size_t)room);
    if (data == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    out->data = data;
    out->room = room;
    return 0;
}

static inline int
out_need(Out *out, Py_ssize_t more)
{
    return out->room - out->size >= more ? 0 : out_grow(out, more);
}

static inline void
out_big_endian(Out *out, uint64_t number, int bytes)
{
    for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8)
        out->data[out->size++] = (char)(number >> shift);
}

static int
out_copy(Out *out, const char *data, Py_ssize_t size)
{
    if (out_need(out, size) < 0)
        return -1;
    memcpy(out->data + out->size, data, (size_t)size);
    out->size += size;
    return 0;
}

/* A code byte, then a number of that many bytes. */
static int
out_number(Out *out, int code, uint64_t number, int bytes)
{
    if (out_need(out, 9) < 0)
        return -1;
    out->data[out->size++] = (char)code;
    out_big_endian(out, number, bytes);
    return 0;
}

static int
fail(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    PyErr_FormatV(pack_failure, format, values);
    va_end(values);
    return -1;
}

/* Head of an array (0x90) or map (0x80). */
static int
put_head(Out *out, Py_ssize_t count, int fix, int wide)
{
    if (count < 16)
        return out_number(out, fix | (int)count, 0, 0);
    if (count < 0x10000)
        return out_number(out, wide, (uint64_t)count, 2);
    if (count <= 0xFFFFFFFFLL)
        return out_number(out, wide + 1, (uint64_t)count, 4);
    return fail("%zd entries in one container", count);
}

/* code for 8 bits of length, code + 1 for 16, code + 2 for 32. */
static int
put_size(Out *out, int code, Py_ssize_t size)
{
    if (size < 0x100)
        return out_number(out, code, (uint64_t)size, 1);
    if (size < 0x10000)
        return out_number(out, code + 1, (uint64_t)size, 2);
    if (size <= 0xFFFFFFFFLL)
        return out_number(out, code + 2, (uint64_t)size, 4);
    return fail("%zd bytes in one value", size);
}

static int
put_ext(Out *out, int code, const char *payload, Py_ssize_t size)
{
    int fix = size == 1 ? 0xD4 : size == 2 ? 0xD5 : size == 4 ? 0xD6 : size == 8 ? 0xD7 : size == 16 ? 0xD8 : 0;
    if (fix ? out_number(out, fix, (uint64_t)code, 1) < 0
            : put_size(out, 0xC7, size) < 0 || out_copy(out, (char[]){(char)code}, 1) < 0)
        return -1;
    return out_copy(out, payload, size);
}

static int
put_ref(Out *out, uint64_t oid)
{
    int bytes = oid < 0x100 ? 1 : oid < 0x10000 ? 2 : oid < 0x100000000ULL ? 4 : 8;
    int fix = bytes == 1 ? 0xD4 : bytes == 2 ? 0xD5 : bytes == 4 ? 0xD6 : 0xD7;
    if (out_number(out, fix, REF, 1) < 0 || out_need(out, 8) < 0)
        return -1;
    out_big_endian(out, oid, bytes);
    return 0;
}

/* ---- leaves ------------------------------------------------------------ */

static int
put_int(Out *out, PyObject *value)
{
    int overflow;
    long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (overflow == 0) {
        if (number == -1 && PyErr_Occurred())
            return -1;
        if (number >= -32 && number < 0x80)
            return out_number(out, (int)(number & 0xFF), 0, 0);
        if (number > 0) {
            int step = number < 0x100 ? 0 : number < 0x10000 ? 1 : number < 0x100000000LL ? 2 : 3;
            return out_number(out, 0xCC + step, (uint64_t)number, 1 << step);
        }
        int step = number >= -0x80 ? 0 : number >= -0x8000 ? 1 : number >= -0x80000000LL ? 2 : 3;
        return out_number(out, 0xD0 + step, (uint64_t)number, 1 << step);
    }
    if (overflow > 0) {
        unsigned long long wide = PyLong_AsUnsignedLongLong(value);
        if (wide != (unsigned long long)-1 || !PyErr_Occurred())
            return out_number(out, 0xCF, wide, 8);
        if (!PyErr_ExceptionMatches(PyExc_OverflowError))
            return -1;
        PyErr_Clear();
    }
    PyObject *bytes = PyObject_CallOneArg(big_integer, value);
    if (bytes == NULL)
        return -1;
    int result = put_ext(out, BIGINT, PyBytes_AS_STRING(bytes), PyBytes_GET_SIZE(bytes));
    Py_DECREF(bytes);
    return result;
}

static int
put_utf8(Out *out, const char *data, Py_ssize_t size)
{
    if (size < 32 ? out_number(out, 0xA0 | (int)size, 0, 0) < 0 : put_size(out, 0xD9, size) < 0)
        return -1;
    return out_copy(out, data, size);
}

static int
put_text(Out *out, PyObject *value)
{
    if (PyUnicode_READY(value) < 0)
        return -1;
    if (PyUnicode_IS_ASCII(value))
        return put_utf8(out, (const char *)PyUnicode_1BYTE_DATA(value), PyUnicode_GET_LENGTH(value));
    /* Not PyUnicode_AsUTF8: it would keep a second copy inside every text of the application. */
    PyObject *bytes = PyUnicode_AsUTF8String(value);
    if (bytes == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError))
            return -1;
        PyErr_Clear();
        bytes = PyUnicode_AsEncodedString(value, "utf-8", "surrogatepass");
        if (bytes == NULL)
            return -1;
        int result = put_ext(out, TEXT, PyBytes_AS_STRING(bytes), PyBytes_GET_SIZE(bytes));
        Py_DECREF(bytes);
        return result;
    }
    int result = put_utf8(out, PyBytes_AS_STRING(bytes), PyBytes_GET_SIZE(bytes));
    Py_DECREF(bytes);
    return result;
}

#endif
