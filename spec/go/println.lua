--- Go's fmt.Println: the operands with blanks between them, and nil as Go writes it.
return function(...)
  local words = { ... }
  for i = 1, select("#", ...) do
    words[i] = words[i] == nil and "<nil>" or tostring(words[i])
  end
  print(table.concat(words, " "))
end
